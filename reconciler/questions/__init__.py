"""What can be asked of a host: one class per question, asked together by one command."""
