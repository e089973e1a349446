import { expect } from 'chai';
import { OperationError } from '../../../../../../infra/lib/errors.ts';
import { emulatorEndpoint } from '../../../../../../infra/aws/runtime/client/clients.ts';
import { asOperationError } from '../../../../../../infra/aws/runtime/client/errors.ts';
import { inOwnAccount } from '../../../../../../infra/aws/runtime/shared/leases.ts';
import type { Shared } from '../../../../../../infra/platform/lease.ts';

describe('what machines share on AWS', () => {
  /** Notes what is called, in order; the account is another one for the first `strange` times. */
  function guarded(strange: number) {
    const called: string[] = [];
    const note = (name: string) => () => {
      called.push(name);
      return Promise.resolve(undefined);
    };
    const shared = {
      acquire: note('acquire'),
      holder: note('holder'),
      pushRelease: note('push'),
      pullReleases: note('pull'),
    };
    let left = strange;
    const refuse = async () => {
      called.push('who');
      await Promise.resolve();
      if (left-- > 0)
        throw new OperationError(
          'finding out which AWS account the credentials belong to',
          'another account',
          'use the right one',
        );
    };
    return { called, shared: inOwnAccount(shared as unknown as Shared, refuse) };
  }
  const by = { owner: 'x', release: '1' };

  it('is touched only after the account is known to be the right one, which is asked once', async () => {
    const { called, shared } = guarded(0);
    await Promise.all([shared.acquire('production', by), shared.holder('staging')]);
    await shared.pushRelease('production', 'id', '/nowhere');
    await shared.pullReleases('production', '/nowhere');
    expect(called).to.deep.equal(['who', 'acquire', 'holder', 'push', 'pull']);
  });

  it('is not touched in another account, and can be after the login was changed', async () => {
    const { called, shared } = guarded(1);
    expect(await shared.acquire('production', by).catch((error: unknown) => error)).to.be.instanceOf(OperationError);
    expect(called).to.deep.equal(['who']);
    await shared.holder('production');
    expect(called).to.deep.equal(['who', 'who', 'holder']);
  });
});

describe('words of AWS', () => {
  const todo = (code: string, message = 'refused') =>
    asOperationError('asking', Object.assign(new Error(message), { name: code })).todo;

  it('about a bucket, a key, or keys of access say which setting or what to make', () => {
    expect(todo('NoSuchBucket')).to.include('aws.state.bucket');
    expect(todo('PermanentRedirect')).to.include('another region');
    expect(todo('KMS.NotFoundException')).to.include('aws.state.key');
    expect(todo('', 'operation error KMS: Encrypt, https response error, NotFoundException: Alias x')).to.include(
      'aws.state.key',
    );
    expect(todo('', 'operation error KMS: DescribeKey, NotFoundException')).to.equal('see the message from AWS');
    expect(todo('AuthFailure')).to.include('give credentials');
    expect(todo('ExpiredToken')).to.include('run it again').and.include('npm run resume');
  });

  it('that are a page of something else are not shown', () => {
    const error = Object.assign(new Error('mismatched tags'), { $response: { statusCode: 200 } });
    const { found, todo: cure } = asOperationError('asking', error);
    expect(found).to.equal('the answer is not from AWS');
    expect(cure).to.include('proxy');
  });

  it('come from AWS itself where AWS_ENDPOINT_URL is empty', () => {
    const before = process.env['AWS_ENDPOINT_URL'];
    try {
      process.env['AWS_ENDPOINT_URL'] = '';
      expect(emulatorEndpoint()).to.equal(undefined);
      process.env['AWS_ENDPOINT_URL'] = 'http://127.0.0.1:1';
      expect(emulatorEndpoint()).to.equal('http://127.0.0.1:1');
    } finally {
      if (before === undefined) delete process.env['AWS_ENDPOINT_URL'];
      else process.env['AWS_ENDPOINT_URL'] = before;
    }
  });
});
