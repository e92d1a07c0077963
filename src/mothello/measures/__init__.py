"""What is measured on a model: each measure yields rows."""
