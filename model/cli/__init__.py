"""What the commands share: flags, loading, tables, measurements."""
