import { defineRelease } from '../../../automation/config/define.ts';

/** The smallest definition: an application without tests, without a k6 script, without a login, without migrations. */
export default defineRelease({
  application: {
    name: 'minimal',
    version: '2.0.0',
    baseline: '1.0.0',
    build: { command: ['sh', '-c', 'cp test/e2e/minimal/server.mjs "$GREENLIGHT_OUT"/ && echo "// $GREENLIGHT_VERSION" >> "$GREENLIGHT_OUT"/server.mjs'] },
    services: [{ name: 'web', start: ['node', 'server.mjs'], routes: ['/'] }],
  },
  approval: 'auto',
});
