"""dry_run=true: what a command would cost, before it computes anything."""
