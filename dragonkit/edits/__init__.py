"""What is asked, as plain frozen data: edits, settings, edit files. Nothing here imports torch."""
