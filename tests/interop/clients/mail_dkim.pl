# Mail::DKIM over files, with keys out of a file instead of the DNS.
#     verify KEYS FILE...                          a line for each: algorithm result, ...
#     sign SELECTOR DOMAIN KEYFILE METHOD FILE...  a line for each: the field, \n for its line ends
#     arc-verify KEYS FILE...                      a line for each: none, pass or fail, and why
#     arc-seal SELECTOR DOMAIN KEYFILE HOST FILE...  a line for each: the set, \n for its line ends; cv= as HOST's results have it
use strict;
use warnings;
use Mail::DKIM::Verifier;
use Mail::DKIM::Signer;
use Mail::DKIM::ARC::Verifier;
use Mail::DKIM::ARC::Signer;

package Record;
sub type { 'TXT' }
sub txtdata { $_[0]{text} }

package main;
my %keys;
{
    no warnings 'redefine';
    *Mail::DKIM::DNS::query_async = sub {
        my ($name, $type, %more) = @_;
        my @found = exists $keys{$name} ? (bless { text => $keys{$name} }, 'Record') : ();
        my $then = $more{Callbacks}{Success};
        return sub { $then->(@found) };
    };
}

sub content {
    open(my $file, '<:raw', $_[0]) or die "$_[0]: $!";
    local $/;
    return scalar <$file>;
}

my $verb = shift;
if ($verb =~ /verify$/) {
    open(my $file, '<', shift) or die $!;
    while (<$file>) { chomp; my ($name, $text) = split(/ /, $_, 2); $keys{$name} = $text; }
}
if ($verb eq 'arc-verify') {
    for my $name (@ARGV) {
        my $verifier = Mail::DKIM::ARC::Verifier->new;
        $verifier->PRINT(content($name));
        $verifier->CLOSE;
        print $verifier->result_detail, "\n";
    }
} elsif ($verb eq 'arc-seal') {
    my ($selector, $domain, $key, $host) = splice(@ARGV, 0, 4);
    for my $name (@ARGV) {
        my $signer = Mail::DKIM::ARC::Signer->new(
            Algorithm => 'rsa-sha256', Chain => 'ar', Domain => $domain, SrvId => $host, Selector => $selector, KeyFile => $key);
        $signer->PRINT(content($name));
        $signer->CLOSE;
        my $fields = join("\r\n", $signer->as_strings) . "\r\n";
        $fields =~ s/\r?\n/\\n/g;
        print "$fields\n";
    }
} elsif ($verb eq 'verify') {
    for my $name (@ARGV) {
        my $verifier = Mail::DKIM::Verifier->new;
        $verifier->PRINT(content($name));
        $verifier->CLOSE;
        print join(',', map { $_->algorithm . ' ' . $_->result } $verifier->signatures), "\n";
    }
} else {
    my ($selector, $domain, $key, $method) = splice(@ARGV, 0, 4);
    for my $name (@ARGV) {
        my $signer = Mail::DKIM::Signer->new(
            Algorithm => 'rsa-sha256', Method => $method, Domain => $domain, Selector => $selector, KeyFile => $key);
        $signer->PRINT(content($name));
        $signer->CLOSE;
        my $field = $signer->signature->as_string;
        $field =~ s/\r?\n/\\n/g;
        print "$field\n";
    }
}
