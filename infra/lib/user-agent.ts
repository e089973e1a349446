/**
 * What every client of Greenlight says that it is. A request that says nothing is refused by many firewalls, AWS's managed
 * rules among them (`NoUserAgent_HEADER` of AWSManagedRulesCommonRuleSet).
 */
export const userAgent = { 'user-agent': 'greenlight' } as const;
