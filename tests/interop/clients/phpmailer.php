<?php
// Sends with PHPMailer what the tests ask for: a JSON array of messages on standard input, a JSON line of the outcome of each on standard output.
// The fields are those of Joomla's panel (mailer SMTP), and the class below does with them what Joomla's own does: exceptions are on, and what
// fails is tried once more without opportunistic TLS. What a person reads is ErrorInfo, and with debugging on the dialogue, too.

use PHPMailer\PHPMailer\Exception;
use PHPMailer\PHPMailer\OAuthTokenProvider;
use PHPMailer\PHPMailer\PHPMailer;

require 'libphp-phpmailer/autoload.php';

final class Token implements OAuthTokenProvider
{
    private $user;
    private $token;

    public function __construct(string $user, string $token)
    {
        $this->user = $user;
        $this->token = $token;
    }

    public function getOauth64()
    {
        return base64_encode("user={$this->user}\001auth=Bearer {$this->token}\001\001");
    }
}

final class PanelMailer extends PHPMailer
{
    public $dialogue = '';

    public function __construct(array $panel)
    {
        parent::__construct(true);
        $this->SMTPDebug = 2;
        $this->Debugoutput = function ($line) { $this->dialogue .= trim($line) . "\n"; };
        $this->isSMTP();
        $this->Host = $panel['host'];
        $this->Port = $panel['port'];
        $this->SMTPAuth = $panel['mechanism'] !== '';
        $this->Username = $panel['user'];
        $this->Password = $panel['secret'];
        $this->SMTPSecure = ['none' => '', 'starttls' => 'tls', 'ssl' => 'ssl'][$panel['security']];
        $this->SMTPAutoTLS = $panel['auto_tls'] ?? true;
        $this->AuthType = $panel['mechanism'] === 'any' ? '' : $panel['mechanism'];
        if ($this->AuthType === 'XOAUTH2') {
            $this->setOAuth(new Token($panel['user'], $panel['secret']));
        }
        $this->SMTPOptions = $panel['ca'] === '' ? [] : ['ssl' => ['cafile' => $panel['ca']]];
        $this->Timeout = $panel['timeout'];
        $this->setFrom($panel['from'], $panel['from_name'] ?? '');
        $this->addAddress($panel['to']);
        $this->Subject = 'a test of the mail settings';
        $this->Body = "Thank you.\r\n.\r\nBye.";
    }

    public function go(): bool
    {
        try {
            return $this->send();
        } catch (Exception $error) {
            if (!$this->SMTPAutoTLS) {
                return false;
            }
        }
        $this->SMTPAutoTLS = false;
        try {
            return $this->send();
        } catch (Exception $error) {
            return false;
        }
    }
}

set_error_handler(function () { return true; }); // a warning of PHP's is for its log; ErrorInfo has what a person sees
foreach (json_decode(file_get_contents('php://stdin'), true) as $panel) {
    $mailer = new PanelMailer($panel);
    $sent = $mailer->go();
    $said = $sent ? '' : $mailer->ErrorInfo;
    echo json_encode(['name' => $panel['name'], 'sent' => $sent, 'said' => $said, 'debug' => $mailer->dialogue]), "\n";
}
fwrite(STDERR, 'PHPMailer ' . PHPMailer::VERSION . ', PHP ' . PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION . "\n");
