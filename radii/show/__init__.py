"""What people read on a terminal: answers, tables and progress."""
