workers = 3
wsgi_app = "shop.wsgi"
