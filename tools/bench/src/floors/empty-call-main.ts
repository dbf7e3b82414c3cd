// A nice-grpc server with mutual TLS that answers an empty message with an empty message, and nothing else: no middleware, no log.
// Started with the folder of the certificates; sends its address, and ends with the process that started it.

import { ServerCredentials } from '@grpc/grpc-js';
import { loadTls } from '@strife/certs';
import { SessionServiceDefinition } from '@strife/stubs/gateway';
import { createServer, ServerError, Status } from 'nice-grpc';

const [certsDirectory = 'certs'] = process.argv.slice(2);
const { ca, cert, key } = await loadTls(certsDirectory, 'gateway/g1');
const refuse = async (): Promise<never> => {
  throw new ServerError(Status.UNIMPLEMENTED, 'only Logout is served');
};

const server = createServer();
server.add(SessionServiceDefinition, { login: refuse, refresh: refuse, logout: async () => ({}) });
const port = await server.listen('127.0.0.1:0', ServerCredentials.createSsl(Buffer.from(ca), [{ cert_chain: Buffer.from(cert), private_key: Buffer.from(key) }], true));
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit(0));
process.send?.(`127.0.0.1:${port}`);
