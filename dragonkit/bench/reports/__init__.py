"""From records to intervals, tables and pages."""
