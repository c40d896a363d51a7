import multiprocessing
bind = "0.0.0.0:8000"
workers = multiprocessing.cpu_count() * 2 + 1
threads = 8  # gthread
worker_class = "gthread"
timeout = 30
