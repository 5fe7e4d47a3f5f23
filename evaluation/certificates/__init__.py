"""Certificates of test images: the record of each, and the tables made of them."""
