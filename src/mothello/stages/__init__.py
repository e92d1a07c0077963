"""What happens to a model, in order: pretraining, fine-tuning."""
