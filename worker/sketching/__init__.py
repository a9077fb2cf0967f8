"""The process behind ``run.py new-site``: looks at a website's login page and says what it found there.

    __main__.py   the process: an order on standard input, one JSON object a line on standard output
    messages.py   what is ordered and what is told (shared with the supervisor, which writes the skeleton)
    explore.py    opens the address, follows to the login page, asks it; look.js is the question

It logs in nowhere and clicks on nothing but what is called log in, sign in or the like.
"""
