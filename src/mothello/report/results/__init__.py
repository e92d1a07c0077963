"""results/README.md: the published numbers beside ours."""
