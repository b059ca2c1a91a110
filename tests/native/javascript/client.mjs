// A client of Azure Job Router, made of Microsoft's own packages as its generated clients are: a REST client, and the
// policy that signs. Reads {endpoint, accessKey, calls} from standard input; writes one {status, body} for each call.
import { AzureKeyCredential } from "@azure/core-auth";
import { createCommunicationAuthPolicy } from "@azure/communication-common";
import { getClient } from "@azure-rest/core-client";
import { text } from "node:stream/consumers";

const { endpoint, accessKey, calls } = JSON.parse(await text(process.stdin));
const client = getClient(endpoint, { retryOptions: { maxRetries: 0 } });
client.pipeline.addPolicy(createCommunicationAuthPolicy(new AzureKeyCredential(accessKey)));

const answers = [];
for (const { method, path, parameters = [], query = {}, body } of calls) {
  const queryParameters = { "api-version": "2023-11-01", ...query };
  let answer = await client.path(path, ...parameters)[method]({ queryParameters, body });
  answers.push({ status: Number(answer.status), body: answer.body });
  while (answer.body?.nextLink) {
    answer = await client.pathUnchecked(answer.body.nextLink).get();
    answers.push({ status: Number(answer.status), body: answer.body });
  }
}
process.stdout.write(JSON.stringify(answers));
