# A suite for perl: numbers and their text, regular expressions, sorting, processes, sockets, signals, files.
use strict; use warnings; use Config; use POSIX qw(:sys_wait_h strftime floor fmod); use Socket; use IO::Socket::INET; use IO::Socket::UNIX; use Time::HiRes qw(ualarm usleep); use List::Util qw(sum reduce first shuffle); use Data::Dumper; use File::Temp qw(tempdir); use Digest::MD5 qw(md5_hex); use Digest::SHA qw(sha256_hex sha512_base64); use MIME::Base64; use Storable qw(dclone freeze thaw); use Encode; use Math::BigInt; use Fcntl qw(:flock);
$| = 1; chdir tempdir(CLEANUP => 1); $Data::Dumper::Sortkeys = $Data::Dumper::Indent = 1;
sub section { print "-- @_\n" }

section 'config';
printf "%s %s %s %s %s\n", @Config{qw(ivsize nvsize byteorder usethreads d_fork)};
section 'sprintf';
printf "%.15g %.17g %e %g %a\n", 0.1, 0.1, 12345.6789, 1e100, 1.5;
printf "%s %s %s %s\n", 1e15, 1e16, 1 / 3, -1e-5;
printf "%s %s %s\n", 9**9**9, -9**9**9, (9**9**9) - (9**9**9) == 0 ? 'number' : 'nan';
printf "%d %u %x %o %b %#x %+d %05d %-5d| %5s %-5s| %.2s %c %vd %%\n", -5, 5, 255, 8, 10, 255, 5, 42, 42, 'ab', 'ab', 'abcdef', 65, '1.22.333';
printf "%.0f %.0f %.0f %.1f %.2f %.3e\n", 0.5, 1.5, 2.5, 0.25, 1.005, 6.02214076e23;
print 0.1 + 0.2, ' ', 1e23, ' ', 2**53 + 1, ' ', 18446744073709551615, ' ', 9223372036854775807 + 1, ' ', int(-7 / 2), ' ', -7 % 3, ' ', 7 % -3, "\n";
print join(' ', map { sprintf '%.10f', $_ } sqrt 2, sin 1, cos 1, atan2(1, 2), exp 1, log 10, fmod(7.5, 2)), "\n";
print 1 << 63, ' ', ~0, ' ', ~0 >> 3, ' ', 0xffff & ~0xff, ' ', hex 'deadbeef', ' ', oct '0b1011', "\n";
{ use integer; print -7 / 2, ' ', -7 % 3, ' ', 1 << 63, "\n"; }
print Math::BigInt->new(2)->bpow(200), ' ', Math::BigInt->new(100)->bfac, "\n";
section 'pack';
print unpack('H*', pack 'nNvVqQ>dfw', 258, 16909060, 258, 16909060, -2, 2, 1.5, -0.1, 300), "\n";
print join(' ', unpack 'c C s S l L q A3 Z*', pack 'c C s S l L q A3 Z*', -1, 255, -2, 65535, -3, 4294967295, -4, 'ab', 'zed'), "\n";
section 'regexes';
my $text = "The year 1999 and 2024, mail: a.b\@c.org; x=10,y=-20";
print join('|', $text =~ /\b(\d{4})\b/g), ' ', join('|', map { "$_->[0]:$_->[1]" } map { [/(\w)=(-?\d+)/] } split /,/, '' . ($text =~ /(x=.*)/)[0]), "\n";
(my $copy = $text) =~ s/(\w+)@(\w+)/\U$2\E at \u$1/; print "$copy\n";
print "named $+{user} $+{host}\n" if $text =~ /(?<user>[\w.]+)@(?<host>[\w.]+)/;
print 'aaa' =~ /^(a+?)(a*)$/ ? "$1,$2" : '', ' ', 'foobar' =~ /foo(?=bar)/ ? $& : '', ' ', '((a)(b))' =~ /^(\((?:[^()]|(?1))*\))$/ ? 'balanced' : 'not', "\n";
print join('|', split /(?<=,)\s*/, 'a, b,c'), ' ', ($text =~ tr/a-z//), ' ', scalar reverse('abc'), ' ', lc 'ÀB', ' ', "a1b22" =~ s/\d+/<$&>/gr, "\n";
print join(' ', map { s/(\d+)/$1 * 2/er } qw(a1 b20 c300)), ' ', ('ab' x 1000) =~ /^(?:ab)+$/ ? 'long' : 'no', "\n";
my $u = decode('UTF-8', "na\xc3\xafve \xe2\x82\xac"); print length $u, ' ', encode('UTF-8', uc $u), ' ', $u =~ /\p{Lu}/ ? 1 : 0, ' ', join(',', map { sprintf '%x', ord } split //, $u), "\n";
section 'sorting';
my $seed = 7; my @n = map { $seed = ($seed * 1103515245 + 12345) % 2147483648; $seed % 1000 } 1 .. 2000;
print join(' ', (sort { $a <=> $b } @n)[0, 1, 999, 1999]), ' ', join(' ', (sort @n)[0 .. 3]), ' ', sum(@n), ' ', (reduce { $a ^ $b } @n), "\n";
my %h; $h{$_ % 17} += $_ for @n; print join(' ', map { "$_=$h{$_}" } sort { $h{$b} <=> $h{$a} || $a <=> $b } keys %h), "\n";
print Dumper({ a => [1, 2, { b => undef }], c => \'ref', d => sub { 1 } ? 'code' : '' });
print join(',', map { $_->[0] } sort { $a->[1] <=> $b->[1] or $a->[0] cmp $b->[0] } map { [$_, length] } qw(pear fig apple kiwi banana)), ' ', join(',', @{dclone([1, [2, 3]])->[1]}), ' ', thaw(freeze({ k => 'v' }))->{k}, "\n";
section 'digests';
print md5_hex('polyvm'), ' ', sha256_hex('x' x 10000), ' ', sha512_base64('abc'), ' ', encode_base64('binary' . chr 0, ''), "\n";
section 'processes';
pipe my $r, my $w or die; my $pid = fork; if (!$pid) { close $r; print $w "child\n"; close $w; exit 7 } close $w; print 'read ', scalar <$r>; waitpid $pid, 0; print 'status ', $? >> 8, "\n";
my @kids = map { my $k = $_; my $p = fork; if (!$p) { exit $k } $p } 1 .. 5; my %status; while ((my $p = waitpid -1, 0) > 0) { $status{$p} = $? >> 8 } print join(' ', map { $status{$_} } @kids), "\n";
print `echo backtick; exit 3`, $? >> 8, ' ', system('exit 5;') >> 8, ' ', system('kill -TERM $$') & 127, "\n";
open my $p, '|-', 'tr a-z A-Z' or die; print $p "to upper\n"; close $p; open $p, '-|', 'seq', 3 or die; print map { chomp; "<$_>" } <$p>; print "\n"; close $p;
print waitpid(-1, WNOHANG), ' ', exists $ENV{PATH} ? 1 : 0, ' ', $$ == getppid() ? 'no' : 'pid', "\n";
section 'signals';
my $got = ''; local $SIG{USR1} = sub { $got .= "usr1($_[0])" }; kill USR1 => $$; print "$got\n";
my $alarmed = eval { local $SIG{ALRM} = sub { die "alarm\n" }; ualarm 50_000; 1 while 1; }; print "died of $@";
local $SIG{CHLD} = sub { $got = 'chld' }; if (!($pid = fork)) { exit 0 } $got = ''; usleep 10_000 until $got; waitpid $pid, 0; print "$got\n"; $SIG{CHLD} = 'DEFAULT';
local $SIG{__WARN__} = sub { print "warned: @_" }; my $undef; { no warnings 'once'; my $x = "a" + 1 if 0; } warn "careful\n"; print eval { die { code => 42 } } // $@->{code}, "\n";
local $SIG{PIPE} = sub { $got = 'pipe' }; pipe $r, $w; close $r; syswrite $w, 'x'; print "$got ", $!{EPIPE} ? 'EPIPE' : $!, "\n"; close $w;
section 'sockets';
my $server = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die "no server: $!";
if (!($pid = fork)) { my $c = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $server->sockport) or exit 1; print $c "hello\n"; my $back = <$c>; exit($back eq "HELLO\n" ? 0 : 2) }
my $client = $server->accept; my $line = <$client>; print $client uc $line; close $client; waitpid $pid, 0; print "tcp $?\n";
my $un = IO::Socket::UNIX->new(Local => 'sock', Listen => 1) or die "unix: $!"; if (!($pid = fork)) { my $c = IO::Socket::UNIX->new(Peer => 'sock') or exit 1; syswrite $c, 'ping'; sysread $c, my $b, 4; exit($b eq 'pong' ? 0 : 2) } $client = $un->accept; sysread $client, my $b, 4; syswrite $client, $b eq 'ping' ? 'pong' : 'what'; waitpid $pid, 0; print "unix $?\n";
socketpair my $s1, my $s2, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die; syswrite $s1, 'pair'; my $rin = ''; vec($rin, fileno $s2, 1) = 1; print scalar select(my $rout = $rin, undef, undef, 1), ' '; sysread $s2, $b, 10; print "$b ", inet_ntoa(inet_aton '127.0.0.1'), ' ', (getsockopt $s1, SOL_SOCKET, SO_TYPE) ? 'type' : '', "\n";
my $udp = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1') or die; my $udp2 = IO::Socket::INET->new(Proto => 'udp', PeerAddr => '127.0.0.1', PeerPort => $udp->sockport); $udp2->send('datagram'); $udp->recv($b, 100); print "$b\n";
section 'files';
open my $f, '+>', 'file' or die; print $f "line $_\n" for 1 .. 1000; seek $f, 0, 0; my @lines = <$f>; print scalar @lines, ' ', tell $f, ' ', -s 'file', ' ', flock($f, LOCK_EX | LOCK_NB) ? 'locked' : '', "\n"; close $f;
rename 'file', 'other'; symlink 'other', 'link'; print readlink 'link', ' ', (stat 'link')[7], ' ', (lstat 'link')[7], ' ', join(',', sort glob '*'), "\n"; utime 1e9, 1e9, 'other'; print strftime('%Y-%m-%d', gmtime((stat 'other')[9])), ' ', -e 'gone' ? 1 : 0, ' ', unlink('other', 'link'), "\n"; mkdir 'd' and opendir my $d, '.'; print join(',', sort grep !/^\./, readdir $d), "\n"; open $f, '<', 'missing' or print "$! ", $! + 0, "\n"; truncate 'd/x', 0 or print $!{ENOENT} ? "ENOENT\n" : "$!\n";
section 'closures and objects';
package Counter { sub new { my ($c, %o) = @_; bless { n => $o{start} // 0 }, $c } sub next { $_[0]{n}++ } sub DESTROY { print "destroyed\n" } use overload '+' => sub { Counter->new(start => $_[0]{n} + (ref $_[1] ? $_[1]{n} : $_[1])) }, '""' => sub { "C$_[0]{n}" }; }
{ my $c = Counter->new(start => 3); $c->next for 1 .. 4; print "$c ", $c + 5, "\n"; }
my @subs = map { my $n = $_; sub { $n++ * $_[0] } } 1 .. 3; print join(' ', map { $_->(10), $_->(10) } @subs), ' ', join(' ', (sub { wantarray ? 'list' : 'scalar' })->()), "\n"; sub fib { my $n = shift; $n < 2 ? $n : fib($n - 1) + fib($n - 2) } print fib(18), ' ', (local $_ = 'topic'), ' ', sprintf('%s', join ',', map { $_ ** 2 } grep { $_ & 1 } 1 .. 9), ' ', eval '1 +' // 'syntax', "\n";
format STDOUT =
@<<<<< @>>>>> @##.##
'left', 'right', 3.14159
.
write;
