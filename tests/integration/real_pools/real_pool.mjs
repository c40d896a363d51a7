// A real pool of node's mysql2; see RealPool.java for what it does.
//
//   node real_pool.mjs MODULES PORT USER CONNECTIONS '{"settings": ...}'
import { createRequire } from "node:module";
import { createInterface } from "node:readline/promises";

const [modules, port, user, connections, settings] = process.argv.slice(2);
const mysql2 = createRequire(`${modules}/`)("mysql2/promise");
const pool = mysql2.createPool({ host: "127.0.0.1", port: Number(port), user, password: "pw", ...JSON.parse(settings) });

async function failures() {
  const borrowed = [];
  let failed = 0;
  for (let i = 0; i < Number(connections); i++) {
    try {
      borrowed.push(await pool.getConnection());
      await borrowed.at(-1).query("SELECT 1");
    } catch {
      failed++;
    }
  }
  borrowed.forEach((connection) => connection.release());
  return failed;
}

if (await failures()) throw new Error("the pool did not work to begin with");
console.log("ready");
await createInterface({ input: process.stdin }).question("");
console.log(await failures());
process.exit(0);
