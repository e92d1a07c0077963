"""From finished run folders to tables, figures and one page. It reads files only and never imports torch."""
