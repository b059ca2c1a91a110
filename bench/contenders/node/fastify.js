// fastify-openapi-glue from the gateway's own document, and undici.

import Fastify from "fastify";
import openapiGlue from "fastify-openapi-glue";
import { Pool } from "undici";

const pool = new Pool(process.env.BENCH_UPSTREAM, { connections: 1000 });
const app = Fastify({
  // By default unknown members are removed and the request goes on without them, and an extension in a schema (x-...)
  // is an error at the start.
  ajv: { customOptions: { removeAdditional: false, strict: false } },
});

const serviceHandlers = {
  async cancelJob(request, reply) {
    const { connection, jobId } = request.params;
    const answer = await pool.request({
      method: "POST",
      path: `/routing/jobs/${jobId}:cancel?api-version=2023-11-01`,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(request.body),
    });
    await answer.body.json();
    reply.code(answer.statusCode);
    return { connection, jobId, action: "cancel", outcome: "applied" };
  },
};

const securityHandlers = {
  async bearer(request) {
    if (request.headers.authorization !== "Bearer bench") {
      throw new Error("unknown key");
    }
  },
};

app.register(openapiGlue, {
  specification: process.env.BENCH_DOCUMENT,
  serviceHandlers,
  securityHandlers,
  prefix: "v1",
});

await app.listen({ port: Number(process.env.BENCH_PORT), host: "127.0.0.1", backlog: 4096 });
