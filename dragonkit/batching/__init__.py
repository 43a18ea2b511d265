"""Many edits: jobs read one by one, run here or by Ray, and a manifest that survives whatever ends the run."""
