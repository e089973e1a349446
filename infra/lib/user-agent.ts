/**
 * Sent by every HTTP client of Greenlight. Many firewalls refuse requests without a user agent, AWS's managed rules
 * among them (`NoUserAgent_HEADER` of AWSManagedRulesCommonRuleSet).
 */
export const userAgent = { 'user-agent': 'greenlight' } as const;
