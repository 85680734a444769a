"""What `doctor` checks: this machine, the file, keys, known hosts, hosts, DNS, the CA, the journal."""
