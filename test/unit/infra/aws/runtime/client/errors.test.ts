import { expect } from 'chai';
import { OperationError } from '../../../../../../infra/lib/errors.ts';
import { asOperationError, cureOf, hasExpired, isMissing } from '../../../../../../infra/aws/runtime/client/errors.ts';
import { mayPass } from '../../../../../../infra/aws/runtime/client/waiting.ts';

const error = (name: string, message = '') => Object.assign(new Error(message), { name });

describe('an error of AWS', () => {
  it('says that a thing is missing, by the codes of many services', () => {
    for (const name of [
      'NoSuchKey',
      'NotFound',
      'DBSnapshotNotFound',
      'ResourceNotFoundException',
      'ImageNotFoundException',
    ])
      expect(isMissing(error(name)), name).to.be.true;
    const wrapped = new OperationError('reading it', 'found', 'todo', { cause: error('NoSuchKey') });
    expect(isMissing(wrapped)).to.be.true;
    expect(isMissing(error('ValidationError', 'rule x does not exist, NoSuchRule'))).to.be.false;
  });

  it('may pass where it is throttling, a failure of AWS or of the network, whatever its text', () => {
    const answered = (httpStatusCode: number) => Object.assign(error('x'), { $metadata: { httpStatusCode } });
    const network = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
    for (const passing of [error('ThrottlingException'), error('TimeoutError'), answered(503), network]) {
      expect(mayPass(passing), passing.name).to.be.true;
      expect(mayPass(new OperationError('reading it', 'found', 'todo', { cause: passing }))).to.be.true;
    }
    for (const lasting of [error('AccessDenied', 'no ThrottlingException'), error('ExpiredToken'), answered(400)])
      expect(mayPass(lasting), lasting.name).to.be.false;
  });

  it('does not say so where the bucket or the key around it is missing', () => {
    expect(isMissing(error('NoSuchBucket', 'The specified bucket does not exist'))).to.be.false;
    expect(isMissing(error('KMS.NotFoundException', 'Key does not exist'))).to.be.false;
    expect(isMissing(error('AccessDenied'))).to.be.false;
  });

  it('is known as the end of the credentials through all that wraps it', () => {
    const expired = asOperationError(
      'reading the rules',
      error('ExpiredTokenException', 'The security token is expired'),
    );
    expect(hasExpired(expired)).to.be.true;
    expect(hasExpired(new Error('cutover, step drain', { cause: expired }))).to.be.true;
    expect(hasExpired(asOperationError('reading the rules', error('AccessDenied')))).to.be.false;
    expect(hasExpired(undefined)).to.be.false;
    const quoted = `somebody wrote: ${expired.todo}`;
    expect(hasExpired(new OperationError('reading a log', quoted, 'read it')), 'words alone').to.be.false;
  });

  it('of the credentials says which profile has none, where one was named', () => {
    const before = process.env['AWS_PROFILE'];
    const cure = () => cureOf('CredentialsProviderError: Could not resolve credentials using profile: [nope]')?.todo;
    try {
      delete process.env['AWS_PROFILE'];
      expect(cure()).to.include('give credentials');
      process.env['AWS_PROFILE'] = 'nope';
      expect(cure()).to.include('the profile "nope"').and.to.include('aws sso login --profile nope');
    } finally {
      if (before === undefined) delete process.env['AWS_PROFILE'];
      else process.env['AWS_PROFILE'] = before;
    }
  });
});
