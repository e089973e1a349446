import { expect } from 'chai';
import { isMissing } from '../../../infra/aws/runtime/errors.ts';

const error = (name: string, message = '') => Object.assign(new Error(message), { name });

describe('an error of AWS', () => {
  it('says that a thing is missing, by the codes of many services', () => {
    for (const name of ['NoSuchKey', 'NotFound', 'DBSnapshotNotFound', 'ResourceNotFoundException', 'ImageNotFoundException'])
      expect(isMissing(error(name)), name).to.be.true;
    expect(isMissing(error('ValidationError', 'rule x does not exist'))).to.be.true;
  }); // prettier-ignore

  it('does not say so where the bucket or the key around it is missing', () => {
    expect(isMissing(error('NoSuchBucket', 'The specified bucket does not exist'))).to.be.false;
    expect(isMissing(error('KMS.NotFoundException', 'Key does not exist'))).to.be.false;
    expect(isMissing(error('AccessDenied'))).to.be.false;
  });
});
