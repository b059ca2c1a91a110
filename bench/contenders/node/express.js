// express-openapi-validator from the gateway's own document, and undici.

import express from "express";
import * as OpenApiValidator from "express-openapi-validator";
import { Pool } from "undici";

const pool = new Pool(process.env.BENCH_UPSTREAM, { connections: 1000 });
const app = express();

app.use(express.json());
app.use(
  OpenApiValidator.middleware({
    apiSpec: process.env.BENCH_DOCUMENT,
    validateRequests: true,
    validateSecurity: {
      handlers: { bearer: (request) => request.headers.authorization === "Bearer bench" },
    },
  }),
);

app.post("/v1/connections/:connection/jobs/:jobId/cancel", async (request, response) => {
  const { connection, jobId } = request.params;
  const reply = await pool.request({
    method: "POST",
    path: `/routing/jobs/${jobId}:cancel?api-version=2023-11-01`,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request.body),
  });
  await reply.body.json();
  response.status(reply.statusCode).json({ connection, jobId, action: "cancel", outcome: "applied" });
});

app.use((error, request, response, next) => {
  response.status(error.status ?? 500).json({ message: error.message, errors: error.errors });
});

app.listen(Number(process.env.BENCH_PORT), "127.0.0.1", 4096);
