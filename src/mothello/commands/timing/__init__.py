"""What bench.py times, and beside what."""
