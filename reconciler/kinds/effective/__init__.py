"""The kinds that only the blueprint declares, and that change nothing: whether what is declared counts.

A declared file may be as desired and still be void, because a stranger beside it undoes it: a vhost
that answers first, an `ALTER SYSTEM`, an `AllowUsers`. Each kind here asks the program that reads the
configuration what it would do with it now, and names the file and line that decides otherwise. A
stranger is nobody's to remove: the plan refuses, and says what an administrator can do.
"""
