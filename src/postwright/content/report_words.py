"""The words by which mail systems of many countries speak of mail that did not arrive: the vocabulary of the readers in `report_*`.

Data only: regular expressions as alternatives, a line or two for each language, and compiled here. They never decide alone: a bounce must
also come from a machine or have a subject of that kind, and name somebody. All are linear in the text; case does not count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence


def any_of(alternatives: Sequence[str], before: str = "", after: str = "") -> re.Pattern[str]:
    """One expression for all of them."""
    return re.compile(f"{before}(?:{'|'.join(alternatives)}){after}", re.IGNORECASE)


# What the subject of a bounce says.
_SUBJECT = (
    r"undeliver|non-?delivery\b|deliver(?:y|ed)?\b[^\n]{0,40}\b(?:fail|error|problem|status|delay|notif|impossible|subsystem|report)",
    r"fail(?:ed|ure)?\b[^\n]{0,20}\b(?:notice|deliver|mail|message|permanent)",
    r"return(?:ed|ing)\b[^\n]{0,20}\b(?:mail|message|to sender)|bounce|user unknown|mailbox (?:full|unavailable)",
    r"\bnot (?:a )?(?:member|subscri)|post(?:ing)? [^\n]{0,60}(?:reject|denied|not allowed)|members[ -]only",
    r"(?:mail|message|non-?delivery|delivery)\b[^\n]{0,30}\b(?:fail|error|return|reject|bounce|could not|cannot|problem|delayed|warning)",
    r"unzustellbar|nicht zugestellt|zustell",  # German
    r"non[ -]?remis|non (?:d[ée]livr|distribu|remise)|[ée]chec|retour[ée]* (?:du|de|à)",  # French
    r"no (?:se )?(?:ha |pudo |puede )?(?:entreg|podid)|devuelto|rechazad",  # Spanish
    r"n[ãa]o entreg|devolvid|mancata consegna|non recapitat",  # Portuguese, Italian
    r"не доставлен|недоставлен|невозможно доставить|ошибка доставки|возвращ|не может быть доставлен",  # Russian
    r"配信(?:エラー|不能|失敗|できません)|送信(?:エラー|できません|失敗)|配送|届け",  # Japanese
    r"退信|退回|无法(?:投递|送达|发送)|投递|傳送失敗|無法(?:傳送|遞送)|반송|전송 ?실패",  # Chinese, Korean
    r"nie dostarczon|niedor[ęe]cz|doru[čc]en|iletilemedi|kunde inte levereras|onbestelbaar",
)

# What its text says of the mail: that it failed ...
_FAILURE = (
    r"\bfail|\berror|undeliver|could ?n.t|could not|cannot|can ?not|unable",
    r"stopped|blocked|infected|quarantine|n.t able|wasn.t deliver|rejected|bounce|not be deliver|not reach|did not",
    r"not deliver|unknown|problem|malformed|incorrect",
    r"not (?:a )?member|not subscri|returned|invalid|exceed|is full|over quota|refused|denied|no such|not found|doesn.t",
    r"nicht|unzustellbar|fehler|fehlgeschlagen|abgelehnt",  # German
    r"[ée]chec|n'a pas|n'ont pas|impossible|erreur|refus|rejet",  # French
    r"no se (?:ha |pudo|puede|pued)|no pudo|rechaz|fallo",  # Spanish
    r"n[ãa]o (?:foi|p[ôo]de)|non (?:è|e) stato|impossibile",  # Portuguese, Italian
    r"не (?:доставлен|может|удалось|был|найден)|невозможно|ошибк|отклон|недоставлен",  # Russian
    r"できません|エラー|失敗|不明|見つかりません|ありません|届きません",  # Japanese
    r"无法|失败|退信|退回|拒|不存在|無法|실패|못했습니다",  # Chinese, Korean
    r"nie (?:można|został|udało)|nelze|nebyl|ikke|inte|kunne|niet",
)

# ... that it is late ...
_DELAYED = (
    r"\bdelay|warning message only|has not yet been|not yet (?:been )?deliver|still (?:being )?(?:tr|in the queue|undelivered)",
    r"will be retried",
    r"continue to (?:be )?tr|temporary fail|temporarily (?:fail|unable|defer)|attempts will continue",
    r"verz(?:ö|oe)ger|retard[ée]|diff[ée]r[ée]|se seguir[áa] intentando|retras|atras|adiad|ritard",
    r"задерж|отложен|будут продолжены|遅延|遅れて|延迟|延遲|稍后(?:重试|再试)|重试",
)

# ... that it is over (which takes the last one back) ...
_FINAL = (
    r"permanent|gave up|giv(?:en|ing) up|returning message|no further|will not be (?:retried|tried)|final(?:ly)?\b|fatal",
    r"endg[üu]ltig|definiti|permanente|окончат|постоянн|不再|永久|恒久|失敗|失败",
)

# ... or that it went well.
_SUCCESS = (
    r"success(?:ful(?:ly)?)?\b[^\n]{0,40}\b(?:deliver|relay|sent)|(?:deliver|relay)(?:ed|y)\b[^\n]{0,40}\b(?:success|succeed)",
    r"was delivered to\b|relayed to\b|erfolgreich zugestellt|a été (?:remis|distribué)|ha sido entregado|entregue com sucesso",
    r"успешно доставлен|доставлено успешно|正常に配信|配信されました|已(?:成功)?(?:送达|投递)|成功投递",
)

# The line above the message that is returned.
_SEPARATOR = (
    r"(?:here|below|included|enclosed|following|attached|this is)\b[^\n]{0,20}\b(?:copy|message|header)|this\b[^\n]{0,20}\b(?:copy|header)",
    r"(?:the\s+)?(?:header of the\s+)?(?:your\s+)?(?:original|returned|unsent|undelivered|rejected|failed)\s+(?:mail|message|text)\b",
    r"a copy of (?:the|your)\b|message (?:headers?|text|contents?|body) (?:follows?|below)|copy of your message|rest of the message",
    r"(?:le |votre )?message (?:d'origine|original|initial)|mensaje original|mensagem original|messaggio originale",
    r"urspr[üu]ngliche nachricht|originalnachricht|исходное (?:сообщение|письмо)|текст (?:письма|сообщения)|копия (?:письма|сообщения)",
    r"原邮件|原始邮件|原信|元のメッセージ|原文",
)

# What stands before a recipient's address and a colon.
_LABELS = (
    r"(?:failed |the following )?recipients?(?:'s)?(?: e-?mail)?(?: address(?:es)?)?",
    r"(?:failed |e-?mail |mail )?address(?:es)?|addressee|user|mailbox|rcpt[ -]?to|to|delivery to|failed",
    r"empf[äa]nger(?:adresse)?|an|destinataires?|adresse(?: e-?mail| du destinataire)?",  # German, French
    r"destinatario|direcci[óo]n(?: de correo)?|para|destinat[áa]rio",  # Spanish, Portuguese
    r"получател[ьи]|адрес(?: получателя)?|кому",  # Russian
    r"宛先|受信者|宛先アドレス|送信先|メールアドレス",  # Japanese
    r"收件人(?:地址)?|收件人邮箱|邮箱地址|收信人|수신자|받는 ?사람",  # Chinese, Korean
)

# Near an address that is somebody else's.
_SOMEBODY_ELSE = (
    r"mail from|envelope-from|return-path|reply-to|contact|write to|help|support|questions?|assistance|forward (?:it|this)|sent by|sender",
    r"for example|e\.g\.|try|content-id|message-id|in-reply-to|references",
    r"written by|postmaster|abuse|if you|please (?:e-?mail|send|contact)|kontakt|wenden|contactez|póngase",
    r"обрат(?:итесь|иться)|пишите|отправител|問い合わせ|お問|联系|发件人",
)
_FROM = (r"from", r"de", r"von", r"\u043e\u0442", r"差出人", r"发件人")

# What a mail system says in every bounce: it would hide what it says in this one.
_BOILERPLATE = (
    r"^\W*(?:hi|hello|dear)\b|^\W*(?:sorry it didn't|i'm sorry|i'm afraid i wasn't able)",
    r"^\W*this is a(?:n automatically| permanent error|n informational)",
    r"this (?:message|e-?mail|report) (?:was|is|has) (?:created|generated|an auto)|a message that you (?:have )?sen[td]",
    r"^\W*this is the (?:qmail|postfix|mail|dragonfly|mailer)|do not reply|please don't reply|for further assistance|^\W*if you do so",
    r"this report relates to|delete your own text|^\W*the (?:postfix program|mail system)\W*$|^\W*please reply to",
    r"your message$|could not be delivered to one or more|be delivered to one or more",
    r"^\W*its recipients|^\W*recipients\.",
    r"below could not|you do not need to|this is a warning|giving up on|no action is required",
    r"delivery attempts will|message will be retried",
    r"^\W*-{3,}[^a-z]*$|^\W*={3,}\W*$|^\W*\*{3,}\W*$|^\W*>>>|while talking to",
    r"-+\s*(?:the following address|transcript of|session|failure reason)",
    r"the following address(?:es)?\b[^:]{0,60}:?\s*$|the following recipient|address(?:es)? failed|^\W*failed:?\s*$",
    r"^\W*(?:to|cc|subject|sent|date|from|message-id|return-path|original message|received):\s",
    r"^\W*(?:(?:final|original)-recipient|reporting-mta|(?:arrival|last-attempt)-date|(?:remote|received-from)-mta):\s|^(?:status|action):\s",
    r"\b(?:scanned|checked) (?:for|by)\b|no virus (?:was )?found|\bvirus-free",
    r"\bconfidential|legally privileged|intended (?:only|solely) for",
    r"please note that|the message is kept",
    r"this is only a temporary|reason:?\s*$|technical details:?\s*$|the mts-id of|;l=|for more information|\bgenerated (?:by|from)\b",
)

# It was a *mail* that did not arrive: of senders that may be anybody, parcels are no matter of ours.
_UNDELIVERED = (
    r"(?:message|mail)\b[\s\S]{0,120}?\b(?:could|can|was|were|did|has|have)(?: not|n.t|not)\b[^.]{0,30}\b(?:deliver|sent|reach)",
    r"(?:unable|not able|failed) to (?:deliver|send)[^.]{0,30}\b(?:message|mail)\b",
    r"(?:nachricht|mail)\b[^.]{0,60}\bnicht zugestellt|message[^.]{0,30}n'a pas (?:pu )?[^.]{0,20}(?:remis|d[ée]livr|distribu)",
    r"(?:mensaje|correo)[^.]{0,40}no (?:se )?(?:ha |pudo |puede )|(?:письмо|сообщение)[^.]{0,60}(?:не доставлен|не может быть|не удалось)",
    r"メール[^。]{0,30}(?:送信|配信|届)|邮件[^。]{0,20}(?:无法|未能|退回|失败)",
)

undelivered = any_of(_UNDELIVERED).search
subject = any_of(_SUBJECT).search
failure = any_of(_FAILURE).search
delayed = any_of(_DELAYED).search
final = any_of(_FINAL).search
success = any_of(_SUCCESS).search
separator = any_of(_SEPARATOR, before=r"^\W{0,60}(?:(?:begin|beginning|start)\W+(?:of\s+)?)?").match
label = any_of(
    _LABELS,
    before=r"[\s>*\-|]{0,40}(?:\S{1,12}\s)?",
    after=r"(?:\s{0,4}(?:is|was|ist|est|es)?\s{0,4}[:=\uff1a]\s{0,20}|(?<=[\u3040-\u9fff])\s)\S",  # Chinese forms are tables: no colon
).match
somebody_else = any_of((*(rf"\b(?:{words})\b" for words in _SOMEBODY_ELSE), rf"(?:^|\s)(?:{'|'.join(_FROM)})\s{{0,4}}[:\uff1a]")).search
boilerplate = any_of(_BOILERPLATE).search
