# Mail::DKIM over files, with keys out of a file instead of the DNS.
#     verify KEYS FILE...                          a line for each: algorithm result, ...
#     sign SELECTOR DOMAIN KEYFILE METHOD FILE...  a line for each: the field, \n for its line ends
use strict;
use warnings;
use Mail::DKIM::Verifier;
use Mail::DKIM::Signer;

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
if ($verb eq 'verify') {
    open(my $file, '<', shift) or die $!;
    while (<$file>) { chomp; my ($name, $text) = split(/ /, $_, 2); $keys{$name} = $text; }
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
