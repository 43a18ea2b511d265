"""What runs behind the editor: the session, the job in its thread, the history, the exports. No widget."""
