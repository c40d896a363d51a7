"""A real pool of SQLAlchemy on PyMySQL; see RealPool.java for what it does.

python3 real_pool.py PORT USER CONNECTIONS '{"settings": ...}'
"""

import json
import sys

import sqlalchemy

port, user, connections, settings = sys.argv[1:]
engine = sqlalchemy.create_engine(f"mysql+pymysql://{user}:pw@127.0.0.1:{port}/", **json.loads(settings))


def failures():
    failed, borrowed = 0, []
    for _ in range(int(connections)):
        try:
            borrowed.append(engine.connect())
            borrowed[-1].execute(sqlalchemy.text("SELECT 1"))
        except sqlalchemy.exc.DBAPIError:
            failed += 1
    for connection in borrowed:
        connection.close()
    return failed


if failures():
    sys.exit("the pool did not work to begin with")
print("ready", flush=True)
sys.stdin.readline()
print(failures(), flush=True)
