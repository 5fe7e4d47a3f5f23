"""What can be measured: each suite yields measurements and makes tables of them."""
