"""Replies of the large providers, filters and mail servers of today, in the shapes that they have, and the category that each belongs to.

Names, numbers and links are made up; the wording is that of a reply of this kind. They were written down before the rules had seen them, in
one go: at first look the rules had 168 of these 190 right. A line is category, host that answered ("" for any), reply, and after
a further bar the categories that would be right, too.
"""

from __future__ import annotations

# ruff: noqa: E501
_TEXT = """
bad-mailbox | gmail-smtp-in.l.google.com | 550-5.1.1 The email account that you tried to reach does not exist. Please try double-checking the recipient's email address for typos or unnecessary spaces. 550 5.1.1 https://support.google.com/mail/?p=NoSuchUser ab1si23 - gsmtp
inactive-mailbox | gmail-smtp-in.l.google.com | 550-5.2.1 The email account that you tried to reach is inactive. For more information, go to 550 5.2.1 https://support.google.com/mail/?p=DisabledUser ab1si23 - gsmtp
quota-issues | gmail-smtp-in.l.google.com | 452-4.2.2 The recipient's inbox is out of storage space. Please direct the recipient to 452 4.2.2 https://support.google.com/mail/?p=OverQuotaTemp ab1si23 - gsmtp
policy-related | gmail-smtp-in.l.google.com | 450-4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered. Please resend your message at a later time. 450 4.2.1 https://support.google.com/mail/?p=ReceivingRate ab1si23 - gsmtp
policy-related | gmail-smtp-in.l.google.com | 421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your DKIM domain. To protect our users from spam, mail sent from your domain has been temporarily rate limited. ab1si23 - gsmtp
policy-related | gmail-smtp-in.l.google.com | 550-5.7.26 Your email has been blocked because the sender is unauthenticated. Gmail requires all senders to authenticate with either SPF or DKIM. ab1si23 - gsmtp
policy-related | gmail-smtp-in.l.google.com | 550-5.7.25 The IP address sending this message does not have a PTR record setup, or the corresponding forward DNS entry does not match the sending IP. ab1si23 - gsmtp
spam-related | gmail-smtp-in.l.google.com | 550-5.7.1 Gmail has detected that this message is likely unsolicited mail. To reduce the amount of spam sent to Gmail, this message has been blocked. ab1si23 - gsmtp
policy-related | gmail-smtp-in.l.google.com | 550-5.7.1 Gmail has detected that this message is likely suspicious due to the very low reputation of the sending domain. To best protect our users from spam, the message has been blocked. ab1si23 - gsmtp
content-related | gmail-smtp-in.l.google.com | 552-5.3.4 Your message exceeded Google's message size limits. Please visit 552 5.3.4 https://support.google.com/mail/?p=MaxSizeError ab1si23 - gsmtp
content-related | gmail-smtp-in.l.google.com | 550-5.7.1 This message is not RFC 5322 compliant, the issue is: 550-5.7.1 duplicate From headers. To reduce the amount of spam sent to Gmail, this message has been blocked. ab1si23 - gsmtp
bad-mailbox | far-example.mail.protection.outlook.com | 550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient bob@far.example not found by SMTP address lookup
bad-mailbox | far-example.mail.protection.outlook.com | 550 5.4.1 Recipient address rejected: Access denied. For more information see https://aka.ms/EXOSmtpErrors [AB1.namprd01.prod.outlook.com 2026-11-01T10:00:00.000Z 08DE]
policy-related | hotmail-com.olc.protection.outlook.com | 550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3150). [AB1.prod.outlook.com]
policy-related | hotmail-com.olc.protection.outlook.com | 451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation. For e-mail delivery information, see https://postmaster.live.com (S775) [AB1.prod.outlook.com]
policy-related | hotmail-com.olc.protection.outlook.com | 550 5.7.515 Access denied, sending domain near.example does not meet the required authentication level. The sender's domain in the 5322.From address doesn't meet the authentication requirements.
policy-related | far-example.mail.protection.outlook.com | 550 5.7.509 Access denied, sending domain near.example does not pass DMARC verification and has a DMARC policy of reject.
spam-related | far-example.mail.protection.outlook.com | 550 5.7.606 Access denied, banned sending IP [192.0.2.1]. To request removal from this list please visit https://sender.office.com/ and follow the directions. | policy-related
policy-related | far-example.mail.protection.outlook.com | 550 5.7.708 Access denied, traffic not accepted from this IP. For more information please go to http://go.microsoft.com/fwlink/?LinkId=526653
relaying-issues | far-example.mail.protection.outlook.com | 550 5.7.64 TenantAttribution; Relay Access Denied SMTP. [AB1.eop-nam01.prod.protection.outlook.com]
policy-related | far-example.mail.protection.outlook.com | 550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required; Delivery restriction check failed because the sender was not authenticated when sending to this group
policy-related | far-example.mail.protection.outlook.com | 550 5.7.129 RESOLVER.RST.RestrictedToRecipientsPermission; not authorized to send to recipient because the sender isn't on the recipient's allow list
quota-issues | far-example.mail.protection.outlook.com | 554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded; Failed to process message due to a permanent exception
inactive-mailbox | far-example.mail.protection.outlook.com | 554 5.2.1 mailbox disabled; STOREDRV.Deliver.Exception:AccountDisabledException.MapiExceptionMailboxDisabled; Failed to process message
bad-mailbox | hotmail-com.olc.protection.outlook.com | 550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302). [AB1.prod.outlook.com]
routing-errors | far-example.mail.protection.outlook.com | 554 5.4.14 Hop count exceeded - possible mail loop ATTR34 [AB1.eop-nam01.prod.protection.outlook.com]
routing-errors | far-example.mail.protection.outlook.com | 451 4.4.3 Temporary server error. Please try again later ATTR5 | bad-configuration no-answer-from-host
message-expired |  | 550 5.4.300 Message expired -> 421 4.4.1 Connection timed out
bad-domain |  | 550 5.4.310 DNS domain far.example does not exist [Message=InfoDomainNonexistent]
content-related | far-example.mail.protection.outlook.com | 554 5.6.0 Corrupt message content
bad-mailbox | mta7.am0.yahoodns.net | 552 1 Requested mail action aborted, mailbox not found
inactive-mailbox | mta5.am0.yahoodns.net | 554 30 Sorry, your message to bob@far.example cannot be delivered. This mailbox is disabled (554.30).
bad-mailbox | mta5.am0.yahoodns.net | 554 delivery error: dd This user doesn't have a yahoo.com account (bob@far.example) [0] - mta4001.mail.bf1.yahoo.com
policy-related | mta5.am0.yahoodns.net | 421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes
policy-related | mta5.am0.yahoodns.net | 553 5.7.1 [BL21] Connections not accepted from IP addresses on Spamhaus PBL; see https://postmaster.yahooinc.com/error-codes | spam-related
policy-related | mta5.am0.yahoodns.net | 554 5.7.9 Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes
policy-related | mta5.am0.yahoodns.net | 550 5.7.9 This mail has been blocked because the sender is unauthenticated. Yahoo requires all senders to authenticate with either SPF or DKIM.
quota-issues | mta5.am0.yahoodns.net | 452 4.2.2 Mailbox over quota
bad-mailbox | mx-aol.mail.gm0.yahoodns.net | 550 5.1.1 <bob@far.example>: Recipient address rejected: far.example
spam-related | mx01.mail.icloud.com | 554 5.7.1 [CS01] Message rejected due to local policy. Please visit https://support.apple.com/en-us/HT204137 | policy-related
bad-mailbox | mx01.mail.icloud.com | 550 5.1.1 <bob@far.example>: user does not exist
quota-issues | mx01.mail.icloud.com | 552 5.2.2 <bob@far.example>: user is over quota
inactive-mailbox | mx01.mail.icloud.com | 550 5.2.1 <bob@far.example>: mailbox is inactive
policy-related | mx01.mail.icloud.com | 450 4.7.0 Blocked - see https://support.proofpoint.com/dnsbl-lookup.cgi?ip=192.0.2.1 | spam-related
bad-mailbox | mx1.comcast.net | 550 5.1.1 Not our Customer
inactive-mailbox | mx1.comcast.net | 550 5.2.1 Account not available
policy-related | mx1.comcast.net | 421 4.1.0 192.0.2.1 Throttled - try again later. Please see https://postmaster.comcast.net/smtp-error-codes.html#RL000003
policy-related | mx1.comcast.net | 554 5.7.1 192.0.2.1 Comcast requires that all mail servers must have a PTR record with a valid Reverse DNS entry
spam-related | mx1.comcast.net | 552 5.2.0 Message refused by content scanning. See http://postmaster.comcast.net/smtp-error-codes.php#DM000001
bad-mailbox | pkvw-mx.msg.pkvw.co.charter.net | 550 5.1.1 Invalid recipient: <bob@far.example> AUP#In-1830
policy-related | mx.cox.net | 421 cxr cox 192.0.2.1 CXTHRT Too many sessions open
bad-mailbox | mx00.gmx.net | 550-Requested action not taken: mailbox unavailable 550 For explanation visit https://postmaster.gmx.net/en/case?c=r0103&i=ip&v=192.0.2.1&r=1abc
policy-related | mx00.gmx.net | 554-Transaction failed 554-Reject due to policy restrictions. 554 For explanation visit https://postmaster.gmx.net/en/case?c=hi
quota-issues | mx-ha.web.de | 552-Requested mail action aborted: exceeded storage allocation 552-Quota exceeded. The recipients mailbox is full.
policy-related | mx-ha.web.de | 421-web.de (mxweb006) Nemesis ESMTP Service not available 421-Service unavailable 421 Bad DNS PTR resource record.
policy-related | mx-ha.web.de | 450-Requested mail action not taken: mailbox unavailable 450-Mail send limit exceeded.
bad-mailbox | mx02.t-online.de | 550 user unknown
policy-related | mx02.t-online.de | 554 IP=192.0.2.1 - None/bad reputation. Ask your postmaster for help or to contact tosa@rx.t-online.de for reset. (NOWL)
quota-issues | mx02.t-online.de | 552 mailbox is full, please try later
spam-related | mx02.t-online.de | 550-5.7.1 Message considered as spam or virus, rejected
bad-mailbox | smtp-in.orange.fr | 550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]
policy-related | smtp-in.orange.fr | 421 opmta1mti09nd1 mtaserv 192.0.2.1 Trop de connexions, veuillez verifier votre configuration. Too many connections, slow down. OFR004_104 [104]
quota-issues | smtp-in.orange.fr | 552 5.1.1 Boite du destinataire pleine. Recipient overquota. OFR_417 [417]
spam-related | smtp-in.orange.fr | 550 5.7.1 Mail rejete. Mail rejected. ofr_506 [506]
bad-mailbox | mx1.free.fr | 550 5.1.1 <bob@far.example>: Recipient address rejected: Adresse e-mail inexistante
policy-related | mx1.free.fr | 451 too many errors from your ip (192.0.2.1), please visit http://postmaster.free.fr/
spam-related | mx1.free.fr | 550 spam detected
policy-related | mx1.free.fr | 421 Too many spams from your ip (192.0.2.1), please visit http://postmaster.free.fr/ | spam-related
bad-mailbox | smtp4.laposte.net | 550 5.1.1 Adresse destinataire inconnue. Recipient address unknown. LPN007_401
bad-mailbox | mx-eu.mail.am0.yahoodns.net | 554 delivery error: dd Not a valid recipient - atlas110.free.mail.ir2.yahoo.com
bad-mailbox | mxs.mail.ru | 550 Message was not accepted -- invalid mailbox. Local mailbox bob@far.example is unavailable: user not found
inactive-mailbox | mxs.mail.ru | 550 Message was not accepted -- invalid mailbox. Local mailbox bob@far.example is unavailable: account is disabled
quota-issues | mxs.mail.ru | 552 Message was not accepted. Local mailbox bob@far.example is unavailable: recipient is out of quota
spam-related | mxs.mail.ru | 550 spam message rejected. Please visit http://help.mail.ru/notspam-support/id?c=abc or report details to abuse@corp.mail.ru.
policy-related | mxs.mail.ru | 451 Try again later. Please contact abuse@corp.mail.ru: too many messages from this host
policy-related | mxs.mail.ru | 550 Access from ip address 192.0.2.1 blocked. Visit http://mail.ru/notspam/ | spam-related
bad-mailbox | mx.yandex.ru | 550 5.7.1 No such user! 1700000000-abc
policy-related | mx.yandex.ru | 451 4.7.1 Sorry, the service is currently unavailable. Please come back later. 1700000000-abc-Greylisted
spam-related | mx.yandex.ru | 554 5.7.1 [1] Message rejected under suspicion of SPAM; https://ya.cc/1IrBc 1700000000-abc
policy-related | mx.yandex.ru | 550 5.7.1 Email rejected per DMARC policy for near.example
bad-mailbox | mx3.qq.com | 550 Mailbox not found. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000728 [ABC 192.0.2.1]
policy-related | mx3.qq.com | 550 Ip frequency limited [ABC IP: 192.0.2.1]. http://service.mail.qq.com/detail/124/80
inactive-mailbox | mx3.qq.com | 550 Mailbox unavailable or access denied, the account has been suspended
spam-related | mx3.qq.com | 550 The mail content contains suspected spam. http://service.mail.qq.com
policy-related | mx3.qq.com | 550 SPF check failed [ABC IP: 192.0.2.1]
bad-mailbox | 163mx01.mxmail.netease.com | 550 User not found: bob@far.example
quota-issues | 163mx01.mxmail.netease.com | 552 Quota exceeded or service disabled.
spam-related | 163mx01.mxmail.netease.com | 554 DT:SPM 163 mx12,abc, please see http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1
policy-related | 163mx01.mxmail.netease.com | 451 DT:SPM 163 mx5, please try again later | spam-related
policy-related | 163mx01.mxmail.netease.com | 554 HL:IPB 163 mx3, IP blacklisted by receiver
bad-mailbox | mx1.naver.com | 550 5.1.1 No such user abc - nsmtp
inactive-mailbox | mx1.naver.com | 550 5.2.1 The user is a dormant account abc - nsmtp
quota-issues | mx1.naver.com | 552 5.2.2 The recipient's mailbox is full abc - nsmtp
policy-related | mx1.naver.com | 421 4.3.2 Your ip blocked from this server abc - nsmtp | spam-related
bad-mailbox | mx1.hanmail.net | 550 5.1.1 <bob@far.example>... User unknown 존재하지 않는 사용자
spam-related | mx0a-1.pphosted.com | 554 5.7.0 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1 | policy-related
bad-mailbox | mx0a-1.pphosted.com | 550 5.1.1 User Unknown
spam-related | mx0a-1.pphosted.com | 550 5.7.0 Local Policy Violation - Spam content detected
bad-mailbox | eu-smtp-inbound-1.mimecast.com | 550 Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550 [abc.uk1]
policy-related | eu-smtp-inbound-1.mimecast.com | 550 Rejected by header based manually Blocked Senders: near.example - https://community.mimecast.com/docs/DOC-1369#550
bad-configuration | eu-smtp-inbound-1.mimecast.com | 451 Internal resources are temporarily unavailable - https://community.mimecast.com/docs/DOC-1369#451 | policy-related
policy-related | eu-smtp-inbound-1.mimecast.com | 550 csi.mimecast.org Poor Reputation Sender. - https://community.mimecast.com/docs/DOC-1369#550
virus-related | eu-smtp-inbound-1.mimecast.com | 554 Email rejected due to security policies - MCVirusSignature.x.y
policy-related | eu-smtp-inbound-1.mimecast.com | 550 Administrative prohibition - envelope blocked - https://community.mimecast.com/docs/DOC-1369#550
policy-related | eu-smtp-inbound-1.mimecast.com | 550 Anti-Spoofing policy - Inbound not allowed | spam-related
spam-related | d1.ess.barracudanetworks.com | 550 permanent failure for one or more recipients (bob@far.example:blocked) | policy-related
bad-mailbox | d1.ess.barracudanetworks.com | 550 permanent failure for one or more recipients (bob@far.example:550 5.1.1 User unknown)
spam-related | mail.far.example | 554 Service unavailable; Client host [mx.near.example] blocked using Barracuda Reputation; http://www.barracudanetworks.com/reputation/?r=1&ip=192.0.2.1 | policy-related
policy-related | mx.far.example | 554-esa1.far.example 554 Your access to this mail system has been rejected due to the sending MTA's poor reputation. If you believe that this failure is in error, please contact the intended recipient via alternate means.
bad-mailbox | mx.far.example | 550 #5.1.0 Address rejected.
bad-mailbox | mx.far.example | 550 5.1.0 Address rejected bob@far.example
policy-related | mx.far.example | 452 #4.3.1 Too much mail from that domain / Too many recipients received this hour
spam-related | mx.far.example | 550 5.7.1 Message rejected due to content - message contains spam url (Cloudmark CSI)
spam-related | mx.far.example | 550 5.7.1 CM: high volume spam from your network 192.0.2.1; see csi.cloudmark.com/reset-request | policy-related
bad-mailbox | mx.far.example | 550 5.1.1 <bob@far.example>: Recipient address rejected: User unknown in virtual mailbox table
policy-related | mx.far.example | 450 4.2.0 <bob@far.example>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/far.example.html
policy-related | mx.far.example | 450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]
policy-related | mx.far.example | 504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname
invalid-sender | mx.far.example | 450 4.1.8 <a@near.example>: Sender address rejected: Domain not found
invalid-sender | mx.far.example | 550 5.1.0 <a@near.example>: Sender address rejected: User unknown in virtual alias table | policy-related
spam-related | mx.far.example | 554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.1 | policy-related
content-related | mx.far.example | 552 5.3.4 Message size exceeds fixed limit
quota-issues | mx.far.example | 452 4.3.1 Insufficient system storage | bad-configuration
relaying-issues | mx.far.example | 454 4.7.1 <bob@far.example>: Relay access denied
bad-configuration | mx.far.example | 451 4.3.0 <bob@far.example>: Temporary lookup failure
bad-configuration | mx.far.example | 451 4.3.5 Server configuration problem
protocol-errors | mx.far.example | 503 5.5.1 Error: nested MAIL command
protocol-errors | mx.far.example | 502 5.5.2 Error: command not recognized
content-related | mx.far.example | 554 5.6.0 Message contains NUL octets, rejected by mime checks
invalid-sender | mx.far.example | 550-Verification failed for <a@near.example> 550-No Such User Here 550 Sender verify failed
bad-mailbox | mx.far.example | 550 No Such User Here"
bad-domain | mx.far.example | 550 unrouteable address | bad-mailbox
relaying-issues | mx.far.example | 550 relay not permitted, authentication required
policy-related | mx.far.example | 550 "JunkMail rejected - mx.near.example [192.0.2.1]:40000 is in an RBL: listed in b.barracudacentral.org" | spam-related
policy-related | mx.far.example | 421 Too many concurrent SMTP connections; please try again later.
policy-related | mx.far.example | 451 Domain near.example has exceeded the max emails per hour (500/500 (100%)) allowed. Message will be reattempted later
content-related | mx.far.example | 552 Message size exceeds maximum permitted
content-related | mx.far.example | 550 message headers fail syntax check: malformed address: @ may not follow bob
protocol-errors | mx.far.example | 554 SMTP synchronization error
bad-mailbox | mx.far.example | 550 5.1.1 sorry, no mailbox here by that name (#5.1.1 - chkuser)
relaying-issues | mx.far.example | 553 sorry, that domain isn't allowed to be relayed thru this MTA without authentication (#5.7.1)
bad-mailbox | mx.far.example | 511 sorry, no mailbox here by that name (#5.1.1 - chkusr)
content-related | mx.far.example | 552 sorry, that message size exceeds my databytes limit (#5.3.4)
spam-related | mx.far.example | 553 sorry, your envelope sender is in my badmailfrom list (#5.7.1) | policy-related invalid-sender
bad-connection |  | 451 4.4.2 Connection dropped due to SocketError | no-answer-from-host
content-related | mx.far.example | 451 See http://pobox.com/~djb/docs/smtplf.html. | protocol-errors
policy-related | mx.far.example | 550 5.7.1 TRANSPORT.RULES.RejectMessage; the message was rejected by organization policy
policy-related | mx.far.example | 550 5.7.1 Client does not have permissions to send as this sender
bad-configuration | mx.far.example | 451 4.7.0 Temporary server error. Please try again later. PRX2 | policy-related
quota-issues | mx.far.example | 452 4.3.1 Insufficient system resources | bad-configuration
policy-related | mx.far.example | 421 4.3.2 The maximum number of concurrent connections has exceeded a limit, closing transmission channel
bad-mailbox | mx.far.example | 550 5.1.1 <bob@far.example>... User unknown
bad-domain |  | 550 5.1.2 <bob@far.example>... Host unknown (Name server: far.example: host not found)
routing-errors |  | 554 5.4.6 Too many hops 26 (25 max): from a@near.example via mx, to bob@far.example
routing-errors |  | 553 5.3.5 mx.far.example. config error: mail loops back to me (MX problem?)
message-expired |  | 554 5.4.7 Message could not be delivered for 5 days
quota-issues | mx.far.example | 554 5.2.2 <bob@far.example>: Mailbox is over its limit
virus-related | mx.far.example | 550 5.7.1 virus Win.Test.EICAR_HDB-1 detected by ClamAV - http://www.clamav.net
virus-related | mx.far.example | 554 Virus found, message permanently rejected (#5.3.0)
spam-related | mx.far.example | 554 5.7.1 Spam message rejected
spam-related | mx.far.example | 550 High probability of spam
spam-related | mx.far.example | 550 5.7.1 Gmail-like filter: message contains content that our users do not want: junk
bad-connection |  | 403 4.7.0 TLS handshake failed.
bad-connection |  | lost connection with mx.far.example[192.0.2.1] while receiving the initial server greeting
no-answer-from-host |  | connect to mx.far.example[192.0.2.1]:25: No route to host
no-answer-from-host |  | connect to mx.far.example[2001:db8::1]:25: Network is unreachable
policy-related |  | TLS is required, but was not offered by host mx.far.example[192.0.2.1]
policy-related |  | Server certificate not trusted | bad-connection
policy-related | mx.far.example | 530 5.7.0 Authentication required
policy-related | mx.far.example | 550 5.7.23 The message was rejected because of Sender Policy Framework violation -> 550 5.7.1
inactive-mailbox | mx.far.example | 550 5.2.1 This account has been closed by its owner
inactive-mailbox | mx.far.example | 550 Mailbox has been deactivated due to inactivity
bad-mailbox | mx.far.example | 550 Employee no longer with the company
bad-mailbox | mx.far.example | 550 There is no one at this address
bad-mailbox | mx.far.example | 550 That email address does not appear to exist on this server
bad-mailbox | mx.far.example | 554 5.1.1 The recipient could not be found in our directory
bad-configuration | mx.far.example | 451 Requested action aborted: local error in processing
bad-configuration | mx.far.example | 421 4.3.0 mx.far.example Service temporarily unavailable, the backend is down
bad-configuration | mx.far.example | 451 4.3.2 Please try again later, the system is under maintenance
bad-mailbox | mx.far.example | 550 El buzón de correo del destinatario no existe
quota-issues | mx.far.example | 552 La casella del destinatario ha superato la quota
bad-mailbox | mx.far.example | 550 De ontvanger bestaat niet
bad-mailbox | mx.far.example | 550 Brukeren finnes ikke
bad-mailbox | mx.far.example | 550 Mottagaren finns inte
bad-mailbox | mx.far.example | 550 Kullanıcı bulunamadı
quota-issues | mx.far.example | 552 Skrzynka odbiorcza jest pełna
quota-issues | mx.far.example | 552 De mailbox van de ontvanger is vol
bad-mailbox | mx.far.example | 550 Il destinatario non esiste
bad-mailbox | mx.far.example | 550 Destinatário não encontrado
quota-issues | mx.far.example | 552 Cota de armazenamento excedida
"""


def replies() -> list[tuple[frozenset[str], str, str]]:
    """The categories that are right, the host, the reply. What stands after the last bar is right, too."""
    return [_row(line) for line in _TEXT.strip().splitlines()]


def _row(line: str) -> tuple[frozenset[str], str, str]:
    first, host, said, *more = (part.strip() for part in line.split(" | "))
    return frozenset([first, *" ".join(more).split()]), host, said
