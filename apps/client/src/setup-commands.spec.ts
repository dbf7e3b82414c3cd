// What helps with setting up: config explain, completion, doctor without a gateway.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { emptyFolder, type StrifeFolder } from './testing/strife-folder.ts';

let folder: StrifeFolder;

beforeEach(() => {
  folder = emptyFolder();
});

afterEach(() => folder.remove());

const strife: StrifeFolder['strife'] = (args, options) => folder.strife(args, options);

describe('config explain', () => {
  it('says what each setting is and where it came from', async () => {
    mkdirSync(join(folder.path, '.strife'));
    writeFileSync(join(folder.path, '.strife', 'profile.toml'), 'gateways = ["10.0.0.1:7400"]\ndata_dir = "../data"\n');
    const { code, stdout } = await strife(['config', 'explain', '--timeout', '3', '--json'], { env: { STRIFE_CERTIFICATE: 'client/shop' } });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      version: 1,
      config: {
        profileFile: join(folder.path, '.strife', 'profile.toml'),
        settings: [
          { name: 'gateways', value: ['10.0.0.1:7400'], origin: 'profile', option: '--gateways', variable: 'STRIFE_GATEWAYS' },
          { name: 'registry_dir', value: null, origin: 'default' },
          { name: 'consul_addr', value: null, origin: 'default' },
          { name: 'consul_ca', value: null, origin: 'default' },
          { name: 'certs_dir', value: join(folder.path, 'config', 'strife', 'certs'), origin: 'default' },
          { name: 'certificate', value: 'client/shop', origin: 'STRIFE_CERTIFICATE' },
          { name: 'data_dir', value: join(folder.path, 'data'), origin: 'profile' },
          { name: 'queue', value: expect.stringMatching(/queues\/[0-9a-f]+\.sqlite$/), origin: 'default' },
          { name: 'timeout', value: 3, origin: '--timeout' },
        ],
      },
    });
  });

  it('refuses an address of Consul that is no URL, naming it', async () => {
    expect(await strife(['config', 'explain'], { env: { STRIFE_CONSUL_ADDR: 'localhost:8500' } })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('consul-addr must be a URL'),
    });
  });
});

describe('completion', () => {
  it.each(['bash', 'zsh', 'fish'])('prints a script for %s', async (shell) => {
    const { code, stdout } = await strife(['completion', shell]);
    expect(code).toBe(0);
    expect(stdout).toContain('strife complete --');
  });

  it('answers what the scripts ask', async () => {
    expect((await strife(['complete', '--', 'pa'])).stdout).toMatch(/^pay\t/);
    expect((await strife(['complete', '--', 'pay', '--wait', ''])).stdout).toMatch(/^decided\t?\nsettled\t?\n/);
    expect((await strife(['complete', '--', 'transfer', ''])).stdout).toContain('show\t');
  });

  it('completes in a real bash, with what the package bash-completion gives', async () => {
    const { stdout: script } = await strife(['completion', 'bash']);
    const file = join(folder.path, 'completion.bash');
    writeFileSync(file, script);
    const program = join(folder.path, 'strife');
    writeFileSync(program, `#!/bin/sh\nexec "${process.execPath}" "${join(import.meta.dirname, '../bin/strife.mjs')}" "$@"\n`);
    chmodSync(program, 0o755);
    const given = '_get_comp_words_by_ref() { cur=${COMP_WORDS[COMP_CWORD]}; prev=${COMP_WORDS[COMP_CWORD-1]}; words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; }';
    const ask = `${given}; source "${file}"; COMP_WORDS=(strife hist); COMP_CWORD=1; COMP_LINE='strife hist'; COMP_POINT=11; __strife_complete; echo "\${COMPREPLY[@]}"`;
    const { stdout } = await promisify(execFile)('bash', ['-c', ask], { env: { ...process.env, PATH: `${folder.path}:${process.env['PATH']}` } });
    expect(stdout.trim()).toBe('history');
  });

  it('refuses an unknown shell', async () => {
    expect(await strife(['completion', 'tcsh'])).toMatchObject({ code: 2, stderr: expect.stringContaining('tcsh') });
  });
});

describe('doctor', () => {
  it('names the certificate that is not there, and exits with 1', async () => {
    const { code, stdout } = await strife(['doctor', '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      doctor: { healthy: false, findings: [{ check: 'certificate client/dev', status: 'failure', detail: expect.stringContaining('ca.pem') }, { check: 'session', status: 'warning' }, { check: expect.stringContaining('queue '), status: 'ok' }] },
    });
  });

  it('says that a folder of stores is empty or cannot be read, and that Consul does not answer', async () => {
    const { stdout } = await strife(['doctor', '--json', '--data-dir', join(folder.path, 'nowhere'), '--consul-addr', 'http://127.0.0.1:9']);
    const { findings } = JSON.parse(stdout).doctor as { findings: { check: string; status: string; detail: string }[] };
    expect(findings).toContainEqual(expect.objectContaining({ check: 'consul http://127.0.0.1:9', status: 'failure', detail: expect.stringContaining('no answer') }));
    expect(findings).toContainEqual(expect.objectContaining({ check: expect.stringContaining('nowhere'), status: 'failure', detail: expect.stringContaining('ENOENT') }));
  });
});
