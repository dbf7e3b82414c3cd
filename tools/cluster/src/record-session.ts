// `npm run docs:session`: records docs/session/transcript.txt.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { workspaceRoot } from './service-process.ts';
import { recordSession } from './session-transcript.ts';

const root = await mkdtemp(join(tmpdir(), 'strife-session-'));
try {
  await writeFile(join(workspaceRoot, 'docs/session/transcript.txt'), await recordSession(root));
  console.log('Recorded docs/session/transcript.txt');
} finally {
  await rm(root, { recursive: true, force: true });
}
