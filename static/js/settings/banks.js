// Banks in Vietnam by the numbers NAPAS knows them by, to choose from; any other number of six digits does, too.

export const BANKS = [
  ["970436", "Vietcombank"], ["970415", "VietinBank"], ["970418", "BIDV"], ["970405", "Agribank"], ["970407", "Techcombank"],
  ["970422", "MB"], ["970416", "ACB"], ["970432", "VPBank"], ["970423", "TPBank"], ["970403", "Sacombank"],
  ["970437", "HDBank"], ["970441", "VIB"], ["970443", "SHB"], ["970431", "Eximbank"], ["970426", "MSB"],
  ["970448", "OCB"], ["970440", "SeABank"], ["970449", "LPBank"], ["970429", "SCB"], ["970428", "NamABank"],
  ["970409", "BacABank"], ["970412", "PVcomBank"], ["970419", "NCB"], ["970425", "ABBANK"], ["970427", "VietABank"],
  ["970400", "Saigonbank"], ["970438", "BaoVietBank"], ["970452", "Kienlongbank"], ["970433", "VietBank"], ["970454", "BVBank"],
  ["970430", "PGBank"], ["970446", "Co-opBank"], ["970424", "Shinhan"],
];
