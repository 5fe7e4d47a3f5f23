"""Evaluation of base classifiers: certificates, noise, attacks, corruptions, gradients; tables and a report.

``run.evaluate`` goes from a plan to a report. A suite yields cells, each one measurement, and makes tables of
what they measured; the journal keeps each measurement, so that an interrupted evaluation goes on. ``papers``
holds the claims of the papers against such measurements.
"""
