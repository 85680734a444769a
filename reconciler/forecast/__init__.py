"""Which dated rules of CAs, browsers and programs will bite an environment, when, and what to do."""
