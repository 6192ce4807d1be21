"""What touches the world outside: the HTTP tap and the shared ledgers of a process."""
