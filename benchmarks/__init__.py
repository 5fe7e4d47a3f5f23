"""What is measured, against whom. ``make bench`` prints it all."""
