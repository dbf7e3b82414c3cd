// The SDK is built into the bundle; gRPC stays outside.
import { defineConfig } from 'vite';

export default defineConfig({ ssr: { noExternal: [/^@strife\//] }, build: { target: 'node22' } });
