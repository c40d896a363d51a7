import os
workers = 4
worker_class = 'gevent'
worker_connections = 200
if os.environ.get("DEBUG"):
    threads = 1
