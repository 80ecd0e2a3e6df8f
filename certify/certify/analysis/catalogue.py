"""What calls outside the node's folder do: one entry per line, with its effect and its reason.

Rules this module keeps:

- what is not listed is unknown: a missing entry can only refuse a node, never let one pass;
- the most specific entry wins: a full name, then `Class#method`, then `Class#*`, then the longest `module.*`;
- an entry's columns are the pattern, the effect, and the reason, two or more spaces apart.

An effect is ``pure``, ``unknown`` or ``kind:mode``, followed by what may refine it:

=============  ====================================================================================================
``@N``         the target is argument N; ``@self`` the receiver's own
``?N``         pure when the call has N arguments or more (a date given, a seed given)
``open``       the mode is read from an open mode such as ``"w"``, in argument N + 1 or the keyword `mode`
``verb``       the mode follows from an HTTP method in argument N - 1
``sql``        the mode follows from the first word of the SQL text in argument 0
``-> Class``   the call returns an object of that class, opened on the target
=============  ====================================================================================================

Sources: the library references of Python 3.11 to 3.13, httpx, requests, aiohttp, urllib3, psycopg, SQLAlchemy, NumPy.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal

from certify.analysis.model import Kind
from certify.manifest.model import Mode


@dataclass(frozen=True, slots=True)
class Entry:
    """What one call does.

    Attributes:
        verdict: pure, an effect, or unknown.
        target: index of the argument that is the target, -1 for the receiver's own, None for no target.
        pure_from: number of arguments from which on the call is pure; 0 for never.
        refine: how the mode is read from the arguments.
        returns: the class of the result, when the catalogue knows its methods.
        reason: what the call does, in a few words.
    """

    verdict: Literal["pure", "effect", "unknown"]
    reason: str
    kind: Kind | None = None
    mode: Mode = Mode.READ
    target: int | None = None
    pure_from: int = 0
    refine: Literal["", "open", "verb", "sql"] = ""
    returns: str = ""


_BUILTINS: Final = """
ArithmeticError AssertionError AttributeError BaseException BaseExceptionGroup BlockingIOError BrokenPipeError
BufferError BytesWarning ChildProcessError ConnectionAbortedError ConnectionError ConnectionRefusedError
ConnectionResetError DeprecationWarning EOFError Ellipsis EncodingWarning EnvironmentError Exception
ExceptionGroup False FileExistsError FileNotFoundError FloatingPointError FutureWarning GeneratorExit IOError
ImportError ImportWarning IndentationError IndexError InterruptedError IsADirectoryError KeyError
KeyboardInterrupt LookupError MemoryError ModuleNotFoundError NameError None NotADirectoryError NotImplemented
NotImplementedError OSError OverflowError PendingDeprecationWarning PermissionError ProcessLookupError
RecursionError ReferenceError ResourceWarning RuntimeError RuntimeWarning StopAsyncIteration StopIteration
SyntaxError SyntaxWarning SystemError SystemExit TabError TimeoutError True TypeError UnboundLocalError
UnicodeDecodeError UnicodeEncodeError UnicodeError UnicodeTranslateError UnicodeWarning UserWarning ValueError
Warning ZeroDivisionError PythonFinalizationError __debug__ abs aiter all anext any ascii bin bool bytearray
bytes callable chr classmethod complex delattr dict dir divmod enumerate filter float format frozenset getattr
hasattr hash hex id int isinstance issubclass iter len list map max memoryview min next object oct ord pow
property range repr reversed round set setattr slice sorted staticmethod str sum super tuple type zip
"""

_TABLE: Final = """
builtins.open                            fs:read@0 open -> io.IOBase        opens a file
builtins.print                           log:write                          writes to standard output
builtins.input                           fs:read                            reads standard input
builtins.help                            log:write                          writes to standard output
builtins.exit                            pure                               raises SystemExit
builtins.quit                            pure                               raises SystemExit
builtins.eval                            unknown                            evaluates text as code
builtins.exec                            unknown                            runs text as code
builtins.compile                         unknown                            makes code of text
builtins.__import__                      unknown                            imports a module by a computed name
builtins.__build_class__                 unknown                            makes classes by hand
builtins.globals                         unknown                            reaches variables by computed names
builtins.locals                          unknown                            reaches variables by computed names
builtins.vars                            unknown                            reaches attributes by computed names
builtins.breakpoint                      unknown                            starts a debugger
builtins.copyright                       log:write                          writes to standard output
builtins.credits                         log:write                          writes to standard output
builtins.license                         log:write                          writes to standard output

time.*                                   clock:read                         reads the clock
time.gmtime                              clock:read ?1                      without an argument, reads the wall clock
time.localtime                           env:read=timezone                  reads the time zone
time.ctime                               clock:read                         reads the clock or the time zone
time.asctime                             clock:read ?1                      without an argument, reads the wall clock
time.strftime                            clock:read ?2                      without a time, reads the wall clock
time.mktime                              env:read=timezone                  reads the time zone
time.timezone                            env:read=timezone                  reads the time zone
time.tzname                              env:read=timezone                  reads the time zone
time.altzone                             env:read=timezone                  reads the time zone
time.daylight                            env:read=timezone                  reads the time zone
time.tzset                               env:write=TZ                       changes the process's time zone
time.clock_settime                       process:write                      sets the system's clock
time.clock_settime_ns                    process:write                      sets the system's clock
time.strptime                            pure                               parses a time
time.struct_time                         pure                               a plain value
time.get_clock_info                      pure                               describes a clock
datetime.*                               pure                               dates and times as values
datetime.datetime.now                    clock:read                         reads the wall clock
datetime.datetime.today                  clock:read                         reads the wall clock
datetime.datetime.utcnow                 clock:read                         reads the wall clock
datetime.date.today                      clock:read                         reads the wall clock
datetime.datetime.fromtimestamp          env:read=timezone ?2               without a zone, reads the time zone
datetime.date.fromtimestamp              env:read=timezone                  reads the time zone
datetime.datetime#now                    clock:read                         reads the wall clock
datetime.datetime#today                  clock:read                         reads the wall clock
datetime.datetime#utcnow                 clock:read                         reads the wall clock
datetime.datetime#*                      pure                               arithmetic of dates
zoneinfo.*                               pure                               time zone rules, which are data
zoneinfo.available_timezones             fs:read                            lists the time zone files
calendar.*                               pure                               arithmetic of dates
calendar.prcal                           log:write                          writes to standard output
calendar.prmonth                         log:write                          writes to standard output
sched.*                                  clock:read                         waits by the clock
timeit.*                                 clock:read                         reads the clock
email.utils.formatdate                   clock:read ?1                      without a date, reads the wall clock
email.utils.localtime                    clock:read ?1                      without a date, reads the wall clock
email.utils.make_msgid                   random:read                        makes a random identifier

random.*                                 random:read                        draws from the shared generator
random.Random                            random:read ?1                     without a seed, takes one from the system
random.Random#*                          pure                               a generator with a visible seed
random.SystemRandom                      random:read -> random.SystemRandom  draws from the system's entropy
random.SystemRandom#*                    random:read                        draws from the system's entropy
secrets.*                                random:read                        draws from the system's entropy
secrets.compare_digest                   pure                               compares two strings
uuid.*                                   pure                               identifiers as values
uuid.uuid1                               random:read                        reads the clock, the host and entropy
uuid.uuid4                               random:read                        draws from the system's entropy
uuid.uuid6                               random:read                        reads the clock and entropy
uuid.uuid7                               random:read                        reads the clock and entropy
uuid.getnode                             env:read=hostname                  reads the machine's address
os.urandom                               random:read                        draws from the system's entropy
os.getrandom                             random:read                        draws from the system's entropy
numpy.random.*                           random:read                        draws random numbers
numpy.random.default_rng                 random:read ?1                     without a seed, takes one from the system

os.environ                               env:read                           reads the environment
os.environb                              env:read                           reads the environment
os.environ.*                             env:read                           reads the environment
os.environ.get                           env:read@0                         reads the environment
os.environ.pop                           env:write@0                        changes the environment
os.environ.setdefault                    env:write@0                        changes the environment
os.environ.update                        env:write                          changes the environment
os.environ.clear                         env:write                          changes the environment
os.environ.popitem                       env:write                          changes the environment
os.environ.__setitem__                   env:write@0                        changes the environment
os.environ.__delitem__                   env:write@0                        changes the environment
os.environb.*                            env:write                          reads or changes the environment
os.getenv                                env:read@0                         reads the environment
os.getenvb                               env:read@0                         reads the environment
os.putenv                                env:write@0                        changes the environment
os.unsetenv                              env:write@0                        changes the environment
os.getpid                                env:read=pid                       reads the process id
os.getppid                               env:read=pid                       reads the process id
os.getpgid                               env:read=pid                       reads the process id
os.getpgrp                               env:read=pid                       reads the process id
os.getsid                                env:read=pid                       reads the process id
os.getuid                                env:read=user                      reads the user
os.geteuid                               env:read=user                      reads the user
os.getgid                                env:read=user                      reads the user
os.getegid                               env:read=user                      reads the user
os.getgroups                             env:read=user                      reads the user
os.getlogin                              env:read=user                      reads the user
os.getcwd                                env:read=cwd                       reads the working folder
os.getcwdb                               env:read=cwd                       reads the working folder
os.cpu_count                             env:read=cpu_count                 reads the processor count
os.process_cpu_count                     env:read=cpu_count                 reads the processor count
os.sched_getaffinity                     env:read=cpu_count                 reads the processor count
os.getloadavg                            env:read=load                      reads the machine's load
os.uname                                 env:read=hostname                  reads the machine's name
os.ctermid                               env:read=terminal                  reads the terminal's name
os.get_terminal_size                     env:read=terminal                  reads the terminal's size
os.times                                 clock:read                         reads the process's clocks
platform.*                               env:read=platform                  reads what machine this is
platform.node                            env:read=hostname                  reads the machine's name
getpass.getuser                          env:read=user                      reads the user
getpass.getpass                          fs:read                            reads the terminal
pwd.*                                    env:read=user                      reads the user database
grp.*                                    env:read=user                      reads the group database
locale.*                                 env:read=locale                    reads the locale
locale.setlocale                         env:write=locale                   changes the process's locale
locale.Error                             pure                               an exception
sysconfig.*                              env:read=platform                  reads how the interpreter was built
resource.*                               env:read=load                      reads the process's use of the machine
resource.setrlimit                       process:write                      changes the process's limits

os.path.*                                unknown                            is not in the catalogue
os.path.join                             pure                               joins texts
os.path.basename                         pure                               splits a text
os.path.dirname                          pure                               splits a text
os.path.split                            pure                               splits a text
os.path.splitext                         pure                               splits a text
os.path.splitdrive                       pure                               splits a text
os.path.normpath                         pure                               rewrites a text
os.path.normcase                         pure                               rewrites a text
os.path.isabs                            pure                               looks at a text
os.path.commonpath                       pure                               compares texts
os.path.commonprefix                     pure                               compares texts
os.path.sep                              pure                               a constant
os.path.pathsep                          pure                               a constant
os.path.abspath                          env:read=cwd                       reads the working folder
os.path.relpath                          env:read=cwd                       reads the working folder
os.path.realpath                         fs:read@0                          follows symbolic links
os.path.expanduser                       env:read=HOME                      reads the home folder
os.path.expandvars                       env:read                           reads the environment
os.path.exists                           fs:read@0                          looks at the file system
os.path.lexists                          fs:read@0                          looks at the file system
os.path.isfile                           fs:read@0                          looks at the file system
os.path.isdir                            fs:read@0                          looks at the file system
os.path.islink                           fs:read@0                          looks at the file system
os.path.ismount                          fs:read@0                          looks at the file system
os.path.getsize                          fs:read@0                          looks at the file system
os.path.getmtime                         fs:read@0                          looks at the file system
os.path.getatime                         fs:read@0                          looks at the file system
os.path.getctime                         fs:read@0                          looks at the file system
os.path.samefile                         fs:read@0                          looks at the file system
os.sep                                   pure                               a constant
os.linesep                               pure                               a constant
os.pathsep                               pure                               a constant
os.curdir                                pure                               a constant
os.pardir                                pure                               a constant
os.extsep                                pure                               a constant
os.altsep                                pure                               a constant
os.devnull                               pure                               a constant
os.name                                  pure                               a constant
os.fspath                                pure                               a path as text
os.fsencode                              pure                               a path as bytes
os.fsdecode                              pure                               a path as text
os.strerror                              pure                               an error's text
os.PathLike                              pure                               a type
os.error                                 pure                               an exception
os.stat_result                           pure                               a type
os.open                                  fs:write@0                         opens a file
os.fdopen                                fs:write                           opens a file
os.read                                  fs:read                            reads a descriptor
os.pread                                 fs:read                            reads a descriptor
os.write                                 fs:write                           writes a descriptor
os.pwrite                                fs:write                           writes a descriptor
os.writev                                fs:write                           writes a descriptor
os.sendfile                              fs:write                           writes a descriptor
os.close                                 fs:write                           closes a descriptor
os.closerange                            fs:write                           closes descriptors
os.dup                                   fs:write                           copies a descriptor
os.dup2                                  fs:write                           copies a descriptor
os.pipe                                  process:write                      opens a pipe
os.fsync                                 fs:write                           writes a descriptor
os.ftruncate                             fs:write                           writes a descriptor
os.lseek                                 fs:read                            moves in a descriptor
os.fstat                                 fs:read                            looks at a descriptor
os.isatty                                fs:read                            looks at a descriptor
os.listdir                               fs:read@0                          lists a folder
os.scandir                               fs:read@0                          lists a folder
os.walk                                  fs:read@0                          lists folders
os.fwalk                                 fs:read@0                          lists folders
os.stat                                  fs:read@0                          looks at the file system
os.lstat                                 fs:read@0                          looks at the file system
os.statvfs                               fs:read@0                          looks at the file system
os.access                                fs:read@0                          looks at the file system
os.readlink                              fs:read@0                          looks at the file system
os.getxattr                              fs:read@0                          looks at the file system
os.listxattr                             fs:read@0                          looks at the file system
os.mkdir                                 fs:write@0                         makes a folder
os.makedirs                              fs:write@0                         makes folders
os.mkfifo                                fs:write@0                         makes a pipe
os.mknod                                 fs:write@0                         makes a device
os.remove                                fs:write@0                         removes a file
os.unlink                                fs:write@0                         removes a file
os.rmdir                                 fs:write@0                         removes a folder
os.removedirs                            fs:write@0                         removes folders
os.rename                                fs:write@1                         renames a file
os.renames                               fs:write@1                         renames a file
os.replace                               fs:write@1                         renames a file
os.link                                  fs:write@1                         links a file
os.symlink                               fs:write@1                         links a file
os.truncate                              fs:write@0                         truncates a file
os.utime                                 fs:write@0                         changes a file's times
os.chmod                                 fs:write@0                         changes a file's rights
os.chown                                 fs:write@0                         changes a file's owner
os.lchown                                fs:write@0                         changes a file's owner
os.setxattr                              fs:write@0                         changes a file's attributes
os.removexattr                           fs:write@0                         changes a file's attributes
os.memfd_create                          fs:write                           makes a file in memory
os.chdir                                 env:write=cwd                      changes the working folder
os.fchdir                                env:write=cwd                      changes the working folder
os.umask                                 process:write                      changes the process
os.chroot                                process:write                      changes the process
os.nice                                  process:write                      changes the process
os.system                                process:write                      starts a process
os.popen                                 process:write                      starts a process
os.startfile                             process:write                      starts a process
os.fork                                  process:write                      starts a process
os.forkpty                               process:write                      starts a process
os.posix_spawn                           process:write                      starts a process
os.posix_spawnp                          process:write                      starts a process
os.kill                                  process:write                      signals a process
os.killpg                                process:write                      signals a process
os.abort                                 process:write                      ends the process
os._exit                                 process:write                      ends the process
os.wait                                  process:write                      waits for a process
os.waitpid                               process:write                      waits for a process
os.setsid                                process:write                      changes the process
os.setuid                                process:write                      changes the process
os.setgid                                process:write                      changes the process
os.register_at_fork                      pure                               registers a callback
os.*                                     unknown                            is not in the catalogue
os.execl                                 process:write                      replaces the process
os.execle                                process:write                      replaces the process
os.execlp                                process:write                      replaces the process
os.execlpe                               process:write                      replaces the process
os.execv                                 process:write                      replaces the process
os.execve                                process:write                      replaces the process
os.execvp                                process:write                      replaces the process
os.execvpe                               process:write                      replaces the process
os.spawnl                                process:write                      starts a process
os.spawnle                               process:write                      starts a process
os.spawnlp                               process:write                      starts a process
os.spawnlpe                              process:write                      starts a process
os.spawnv                                process:write                      starts a process
os.spawnve                               process:write                      starts a process
os.spawnvp                               process:write                      starts a process
os.spawnvpe                              process:write                      starts a process
posix.*                                  unknown                            the raw system interface
_posixsubprocess.*                       process:write                      starts a process
posixpath.*                              unknown                            import `os.path` instead

pathlib.*                                pure                               paths as values
pathlib.Path                             pure@0 -> pathlib.Path             a path as a value
pathlib.PosixPath                        pure@0 -> pathlib.Path             a path as a value
pathlib.Path.cwd                         env:read=cwd -> pathlib.Path       reads the working folder
pathlib.Path.home                        env:read=HOME -> pathlib.Path      reads the home folder
pathlib.Path#*                           unknown                            is not in the catalogue
pathlib.Path#open                        fs:read@self open -> io.IOBase     opens a file
pathlib.Path#read_text                   fs:read@self                       reads a file
pathlib.Path#read_bytes                  fs:read@self                       reads a file
pathlib.Path#exists                      fs:read@self                       looks at the file system
pathlib.Path#is_file                     fs:read@self                       looks at the file system
pathlib.Path#is_dir                      fs:read@self                       looks at the file system
pathlib.Path#is_symlink                  fs:read@self                       looks at the file system
pathlib.Path#is_mount                    fs:read@self                       looks at the file system
pathlib.Path#is_socket                   fs:read@self                       looks at the file system
pathlib.Path#is_fifo                     fs:read@self                       looks at the file system
pathlib.Path#is_block_device             fs:read@self                       looks at the file system
pathlib.Path#is_char_device              fs:read@self                       looks at the file system
pathlib.Path#stat                        fs:read@self                       looks at the file system
pathlib.Path#lstat                       fs:read@self                       looks at the file system
pathlib.Path#owner                       fs:read@self                       looks at the file system
pathlib.Path#group                       fs:read@self                       looks at the file system
pathlib.Path#samefile                    fs:read@self                       looks at the file system
pathlib.Path#readlink                    fs:read@self                       looks at the file system
pathlib.Path#iterdir                     fs:read@self                       lists a folder
pathlib.Path#glob                        fs:read@self                       lists a folder
pathlib.Path#rglob                       fs:read@self                       lists a folder
pathlib.Path#walk                        fs:read@self                       lists a folder
pathlib.Path#write_text                  fs:write@self                      writes a file
pathlib.Path#write_bytes                 fs:write@self                      writes a file
pathlib.Path#touch                       fs:write@self                      writes a file
pathlib.Path#mkdir                       fs:write@self                      makes a folder
pathlib.Path#rmdir                       fs:write@self                      removes a folder
pathlib.Path#unlink                      fs:write@self                      removes a file
pathlib.Path#rename                      fs:write@self                      renames a file
pathlib.Path#replace                     fs:write@self                      renames a file
pathlib.Path#copy                        fs:write@self                      copies a file
pathlib.Path#move                        fs:write@self                      moves a file
pathlib.Path#symlink_to                  fs:write@self                      links a file
pathlib.Path#hardlink_to                 fs:write@self                      links a file
pathlib.Path#chmod                       fs:write@self                      changes a file's rights
pathlib.Path#lchmod                      fs:write@self                      changes a file's rights
pathlib.Path#absolute                    env:read=cwd                       reads the working folder
pathlib.Path#resolve                     fs:read@self                       follows symbolic links
pathlib.Path#expanduser                  env:read=HOME                      reads the home folder
pathlib.Path#cwd                         env:read=cwd                       reads the working folder
pathlib.Path#home                        env:read=HOME                      reads the home folder
pathlib.Path#parent                      pure                               a path as a value
pathlib.Path#parents                     pure                               a path as a value
pathlib.Path#name                        pure                               a text
pathlib.Path#stem                        pure                               a text
pathlib.Path#suffix                      pure                               a text
pathlib.Path#suffixes                    pure                               texts
pathlib.Path#parts                       pure                               texts
pathlib.Path#anchor                      pure                               a text
pathlib.Path#root                        pure                               a text
pathlib.Path#drive                       pure                               a text
pathlib.Path#joinpath                    pure                               a path as a value
pathlib.Path#with_name                   pure                               a path as a value
pathlib.Path#with_stem                   pure                               a path as a value
pathlib.Path#with_suffix                 pure                               a path as a value
pathlib.Path#with_segments               pure                               a path as a value
pathlib.Path#relative_to                 pure                               a path as a value
pathlib.Path#is_relative_to              pure                               compares paths
pathlib.Path#is_absolute                 pure                               looks at a path
pathlib.Path#match                       pure                               compares texts
pathlib.Path#full_match                  pure                               compares texts
pathlib.Path#as_posix                    pure                               a text
pathlib.Path#as_uri                      pure                               a text
io.IOBase#*                              pure                               counted where the file is opened
io.open                                  fs:read@0 open -> io.IOBase        opens a file
io.open_code                             fs:read@0                          opens a file
io.FileIO                                fs:read@0 open -> io.IOBase        opens a file
io.OpenWrapper                           fs:read@0 open -> io.IOBase        opens a file
io.*                                     pure                               streams in memory
codecs.open                              fs:read@0 open -> io.IOBase        opens a file
codecs.*                                 pure                               encodes and decodes
shutil.*                                 fs:write                           changes files
shutil.which                             env:read=PATH                      looks for a program
shutil.disk_usage                        fs:read@0                          looks at the file system
shutil.get_terminal_size                 env:read=terminal                  reads the terminal's size
shutil.Error                             pure                               an exception
tempfile.*                               fs:write                           makes temporary files with random names
tempfile.SpooledTemporaryFile            fs:write                           makes a temporary file
glob.*                                   fs:read@0                          lists folders
glob.escape                              pure                               rewrites a text
glob.translate                           pure                               rewrites a text
fileinput.*                              fs:write                           reads or rewrites files
linecache.*                              fs:read@0                          reads files
filecmp.*                                fs:read@0                          reads files
mimetypes.*                              fs:read                            reads the system's tables
netrc.*                                  fs:read@0                          reads a file
gzip.open                                fs:read@0 open -> io.IOBase        opens a file
gzip.GzipFile                            fs:read@0 open -> io.IOBase        opens a file
gzip.*                                   pure                               compresses bytes
bz2.open                                 fs:read@0 open -> io.IOBase        opens a file
bz2.BZ2File                              fs:read@0 open -> io.IOBase        opens a file
bz2.*                                    pure                               compresses bytes
lzma.open                                fs:read@0 open -> io.IOBase        opens a file
lzma.LZMAFile                            fs:read@0 open -> io.IOBase        opens a file
lzma.*                                   pure                               compresses bytes
zlib.*                                   pure                               compresses bytes
zipfile.*                                fs:write@0                         reads or writes an archive
zipfile.ZipFile                          fs:read@0 open -> io.IOBase        opens an archive
zipfile.BadZipFile                       pure                               an exception
tarfile.*                                fs:write@0                         reads or writes an archive
tarfile.TarError                         pure                               an exception
mmap.*                                   fs:write                           maps a file into memory
fcntl.*                                  fs:write                           locks or controls files
termios.*                                fs:write                           controls the terminal
tty.*                                    fs:write                           controls the terminal
pty.*                                    process:write                      starts a process
select.*                                 network:read                       waits for descriptors
selectors.*                              network:read                       waits for descriptors
shelve.*                                 unknown                            loads pickled objects
dbm.*                                    fs:write@0                         opens a database file
configparser.*                           pure                               parses texts
configparser.ConfigParser                pure -> configparser.ConfigParser  parses texts
configparser.RawConfigParser             pure -> configparser.ConfigParser  parses texts
configparser.ConfigParser#read           fs:read@0                          reads a file
configparser.ConfigParser#*              pure                               reads parsed values
importlib.resources.*                    fs:read                            reads a package's files
importlib.metadata.*                     fs:read                            reads what is installed

socket.*                                 network:write                      opens or uses a socket
socket.timeout                           pure                               a constant or a conversion
socket.gaierror                          pure                               a constant or a conversion
socket.herror                            pure                               a constant or a conversion
socket.error                             pure                               a constant or a conversion
socket.inet_aton                         pure                               a constant or a conversion
socket.inet_ntoa                         pure                               a constant or a conversion
socket.inet_pton                         pure                               a constant or a conversion
socket.inet_ntop                         pure                               a constant or a conversion
socket.htons                             pure                               a constant or a conversion
socket.ntohs                             pure                               a constant or a conversion
socket.htonl                             pure                               a constant or a conversion
socket.ntohl                             pure                               a constant or a conversion
socket.AF_INET                           pure                               a constant or a conversion
socket.AF_INET6                          pure                               a constant or a conversion
socket.AF_UNIX                           pure                               a constant or a conversion
socket.SOCK_STREAM                       pure                               a constant or a conversion
socket.SOCK_DGRAM                        pure                               a constant or a conversion
socket.SOL_SOCKET                        pure                               a constant or a conversion
socket.SO_REUSEADDR                      pure                               a constant or a conversion
socket.IPPROTO_TCP                       pure                               a constant or a conversion
socket.TCP_NODELAY                       pure                               a constant or a conversion
socket.AddressFamily                     pure                               a constant or a conversion
socket.SocketKind                        pure                               a constant or a conversion
socket.socket                            network:write -> socket.socket     opens a socket
socket.socket#*                          network:write                      uses a socket
socket.socket#connect                    network:write@0                    connects
socket.socket#connect_ex                 network:write@0                    connects
socket.socket#sendto                     network:write@1                    sends a datagram
socket.create_connection                 network:write@0 -> socket.socket   connects
socket.create_server                     network:write@0 -> socket.socket   listens
socket.socketpair                        network:write -> socket.socket     opens sockets
socket.fromfd                            network:write -> socket.socket     opens a socket
socket.fromshare                         network:write -> socket.socket     opens a socket
socket.SocketType                        network:write -> socket.socket     opens a socket
socket.send_fds                          network:write                      uses a socket
socket.recv_fds                          network:read                       uses a socket
socket.gethostname                       env:read=hostname                  reads the machine's name
socket.getfqdn                           env:read=hostname                  reads the machine's name
socket.sethostname                       process:write                      changes the machine's name
socket.if_nameindex                      env:read=hostname                  reads the machine's interfaces
socket.getaddrinfo                       network:read@0                     looks a host name up
socket.gethostbyname                     network:read@0                     looks a host name up
socket.gethostbyname_ex                  network:read@0                     looks a host name up
socket.gethostbyaddr                     network:read@0                     looks an address up
socket.getnameinfo                       network:read                       looks an address up
socket.setdefaulttimeout                 process:write                      changes the process
_socket.*                                network:write                      opens a socket
socketserver.*                           network:write                      listens
ssl.*                                    network:write                      speaks TLS
ssl.create_default_context               pure                               settings of a connection
ssl.SSLContext                           pure                               settings of a connection
ssl.SSLError                             pure                               an exception
ssl.TLSVersion                           pure                               a constant
http.HTTPStatus                          pure                               constants
http.HTTPMethod                          pure                               constants
http.client.*                            pure                               constants and exceptions
http.client.HTTPConnection               network:read@0 -> http.client.HTTPConnection   connects
http.client.HTTPSConnection              network:read@0 -> http.client.HTTPConnection   connects
http.client.HTTPConnection#request       network:write@self verb            sends a request
http.client.HTTPConnection#putrequest    network:write@self verb            sends a request
http.client.HTTPConnection#send          network:write@self                 sends bytes
http.client.HTTPConnection#endheaders    network:write@self                 sends a request
http.client.HTTPConnection#connect       network:read@self                  connects
http.client.HTTPConnection#set_tunnel    network:write@0                    connects elsewhere
http.client.HTTPConnection#*             pure                               counted where the request is sent
http.server.*                            network:write                      listens
http.cookies.*                           pure                               parses texts
http.cookiejar.*                         clock:read                         keeps cookies by the clock
urllib.parse.*                           pure                               parses texts
urllib.error.*                           pure                               exceptions
urllib.robotparser.*                     network:read                       sends a request
urllib.request.*                         network:write                      sends requests
urllib.request.Request                   pure@0 -> urllib.request.Request   a request as a value
urllib.request.Request#*                 pure                               a request as a value
urllib.request.quote                     pure                               rewrites a text
urllib.request.urlopen                   network:read@0 ?!data              sends a request
urllib.request.urlretrieve               network:write@0                    sends a request and writes a file
urllib.request.getproxies                env:read                           reads the environment
xmlrpc.*                                 network:write                      sends requests
smtplib.*                                network:write@0                    sends mail
ftplib.*                                 network:write@0                    transfers files
poplib.*                                 network:write@0                    reads mail
imaplib.*                                network:write@0                    reads mail
nntplib.*                                network:write@0                    reads news
telnetlib.*                              network:write@0                    connects
webbrowser.*                             process:write                      starts a browser
wsgiref.*                                network:write                      listens
httpx.*                                  pure                               types and exceptions
httpx.get                                network:read@0                     sends a request
httpx.head                               network:read@0                     sends a request
httpx.options                            network:read@0                     sends a request
httpx.post                               network:write@0                    sends a request
httpx.put                                network:write@0                    sends a request
httpx.patch                              network:write@0                    sends a request
httpx.delete                             network:write@0                    sends a request
httpx.request                            network:write@1 verb               sends a request
httpx.stream                             network:write@1 verb               sends a request
httpx.Client                             pure@base_url -> httpx.Client      a client; its requests count
httpx.AsyncClient                        pure@base_url -> httpx.Client      a client; its requests count
httpx.HTTPTransport                      pure -> httpx.HTTPTransport        a client; its requests count
httpx.AsyncHTTPTransport                 pure -> httpx.HTTPTransport        a client; its requests count
httpx.HTTPTransport#*                    network:write                      sends requests
httpx.Client#get                         network:read@0                     sends a request
httpx.Client#head                        network:read@0                     sends a request
httpx.Client#options                     network:read@0                     sends a request
httpx.Client#post                        network:write@0                    sends a request
httpx.Client#put                         network:write@0                    sends a request
httpx.Client#patch                       network:write@0                    sends a request
httpx.Client#delete                      network:write@0                    sends a request
httpx.Client#request                     network:write@1 verb               sends a request
httpx.Client#stream                      network:write@1 verb               sends a request
httpx.Client#send                        network:write                      sends a request
httpx.Client#*                           pure                               settings of a client
httpx.main                               network:write                      the command line
requests.*                               pure                               types and exceptions
requests.get                             network:read@0                     sends a request
requests.head                            network:read@0                     sends a request
requests.options                         network:read@0                     sends a request
requests.post                            network:write@0                    sends a request
requests.put                             network:write@0                    sends a request
requests.patch                           network:write@0                    sends a request
requests.delete                          network:write@0                    sends a request
requests.request                         network:write@1 verb               sends a request
requests.api.*                           network:write@0                    sends a request
requests.Session                         pure -> requests.Session           a client; its requests count
requests.session                         pure -> requests.Session           a client; its requests count
requests.sessions.*                      pure -> requests.Session           a client; its requests count
requests.adapters.*                      unknown                            a transport of its own
requests.Session#get                     network:read@0                     sends a request
requests.Session#head                    network:read@0                     sends a request
requests.Session#options                 network:read@0                     sends a request
requests.Session#post                    network:write@0                    sends a request
requests.Session#put                     network:write@0                    sends a request
requests.Session#patch                   network:write@0                    sends a request
requests.Session#delete                  network:write@0                    sends a request
requests.Session#request                 network:write@1 verb               sends a request
requests.Session#send                    network:write                      sends a request
requests.Session#*                       pure                               settings of a client
aiohttp.*                                pure                               types and exceptions
aiohttp.client.*                         network:write                      sends requests
aiohttp.connector.*                      network:write                      opens connections
aiohttp.request                          network:write@1 verb               sends a request
aiohttp.ClientSession                    pure@0 -> aiohttp.ClientSession    a client; its requests count
aiohttp.ClientSession#get                network:read@0                     sends a request
aiohttp.ClientSession#head               network:read@0                     sends a request
aiohttp.ClientSession#options            network:read@0                     sends a request
aiohttp.ClientSession#post               network:write@0                    sends a request
aiohttp.ClientSession#put                network:write@0                    sends a request
aiohttp.ClientSession#patch              network:write@0                    sends a request
aiohttp.ClientSession#delete             network:write@0                    sends a request
aiohttp.ClientSession#request            network:write@1 verb               sends a request
aiohttp.ClientSession#ws_connect         network:write@0                    connects
aiohttp.ClientSession#*                  pure                               settings of a client
aiohttp.web.*                            network:write                      listens
urllib3.*                                pure                               types and exceptions
urllib3.request                          network:write@1 verb               sends a request
urllib3.PoolManager                      pure -> urllib3.PoolManager        a client; its requests count
urllib3.ProxyManager                     pure -> urllib3.PoolManager        a client; its requests count
urllib3.HTTPConnectionPool               pure@0 -> urllib3.PoolManager      a client; its requests count
urllib3.HTTPSConnectionPool              pure@0 -> urllib3.PoolManager      a client; its requests count
urllib3.connection_from_url              pure@0 -> urllib3.PoolManager      a client; its requests count
urllib3.PoolManager#request              network:write@1 verb               sends a request
urllib3.PoolManager#request_encode_url   network:write@1 verb               sends a request
urllib3.PoolManager#request_encode_body  network:write@1 verb               sends a request
urllib3.PoolManager#urlopen              network:write@1 verb               sends a request
urllib3.PoolManager#*                    network:write                      opens connections
urllib3.poolmanager.*                    network:write                      opens connections
urllib3.contrib.*                        unknown                            is not in the catalogue
urllib3.connection.*                     network:write                      opens connections
urllib3.connectionpool.*                 network:write                      opens connections

sqlite3.*                                pure                               types, constants and exceptions
sqlite3.dbapi2.*                         db:write                           opens a database
sqlite3.connect                          db:read@0 -> sqlite3.Connection    opens a database
sqlite3.Connection                       db:read@0 -> sqlite3.Connection    opens a database
sqlite3.enable_callback_tracebacks       process:write                      changes the process
sqlite3.register_adapter                 pure                               registers a callback
sqlite3.Connection#execute               db:write@self sql                  runs a statement
sqlite3.Connection#executemany           db:write@self                      runs statements
sqlite3.Connection#executescript         db:write@self                      runs statements
sqlite3.Connection#commit                db:write@self                      commits
sqlite3.Connection#backup                db:write@self                      copies the database
sqlite3.Connection#iterdump              db:read@self                       reads the database
sqlite3.Connection#blobopen              db:write@self                      opens a value
sqlite3.Connection#deserialize           db:write@self                      replaces the database
sqlite3.Connection#load_extension        unknown                            loads native code
sqlite3.Connection#enable_load_extension  unknown                           loads native code
sqlite3.Connection#*                     pure                               counted where statements run
psycopg.*                                db:write                           opens a database
psycopg2.*                               db:write                           opens a database
psycopg.Error                            pure                               an exception
psycopg2.Error                           pure                               an exception
asyncpg.*                                db:write                           opens a database
pymysql.*                                db:write                           opens a database
aiosqlite.*                              db:write                           opens a database
redis.*                                  db:write                           opens a database
pymongo.*                                db:write                           opens a database
sqlalchemy.*                             db:write                           opens a database or builds a statement
sqlalchemy.exc.*                         pure                               exceptions
sqlalchemy.text                          pure                               a statement as a value
sqlalchemy.select                        pure                               a statement as a value

subprocess.*                             process:write                      starts a process
subprocess.PIPE                          pure                               a constant
subprocess.DEVNULL                       pure                               a constant
subprocess.STDOUT                        pure                               a constant
subprocess.CalledProcessError            pure                               an exception
subprocess.TimeoutExpired                pure                               an exception
subprocess.SubprocessError               pure                               an exception
subprocess.CompletedProcess              pure                               a value
subprocess.list2cmdline                  pure                               joins texts
multiprocessing.*                        process:write                      starts processes
multiprocessing.cpu_count                env:read=cpu_count                 reads the processor count
concurrent.futures.ProcessPoolExecutor   process:write                      starts processes
concurrent.futures.ThreadPoolExecutor    thread:write                       starts threads
concurrent.futures.*                     pure                               futures as values
concurrent.futures.thread.*              thread:write                       starts threads
concurrent.futures.process.*             process:write                      starts processes
signal.*                                 process:write                      handles signals
signal.SIGINT                            pure                               a constant
signal.SIGTERM                           pure                               a constant
signal.Signals                           pure                               constants
threading.*                              pure                               locks and thread-local values
threading.Thread                         thread:write                       starts a thread
threading.Timer                          thread:write                       starts a thread by the clock
threading.get_ident                      env:read=pid                       reads the thread's id
threading.get_native_id                  env:read=pid                       reads the thread's id
threading.settrace                       unknown                            runs code on every call
threading.setprofile                     unknown                            runs code on every call
_thread.*                                thread:write                       starts a thread
queue.*                                  pure                               queues in memory
asyncio.*                                pure                               tasks and futures
asyncio.streams.*                        network:write                      connects
asyncio.events.*                         unknown                            is an inner part of asyncio
asyncio.base_events.*                    unknown                            is an inner part of asyncio
asyncio.selector_events.*                unknown                            is an inner part of asyncio
asyncio.unix_events.*                    unknown                            is an inner part of asyncio
asyncio.base_subprocess.*                unknown                            is an inner part of asyncio
asyncio.tasks.*                          clock:read                         waits by the clock
asyncio.threads.*                        thread:write                       starts a thread
asyncio.to_thread                        thread:write                       starts a thread
asyncio.sleep                            clock:read                         waits by the clock
asyncio.wait_for                         clock:read                         waits by the clock
asyncio.timeout                          clock:read                         waits by the clock
asyncio.timeout_at                       clock:read                         waits by the clock
asyncio.open_connection                  network:write@0                    connects
asyncio.open_unix_connection             network:write@0                    connects
asyncio.start_server                     network:write                      listens
asyncio.start_unix_server                network:write                      listens
asyncio.create_subprocess_exec           process:write                      starts a process
asyncio.create_subprocess_shell          process:write                      starts a process
asyncio.subprocess.*                     process:write                      starts a process
asyncio.get_event_loop                   pure -> asyncio.AbstractEventLoop  the loop; its methods count
asyncio.get_running_loop                 pure -> asyncio.AbstractEventLoop  the loop; its methods count
asyncio.new_event_loop                   pure -> asyncio.AbstractEventLoop  the loop; its methods count
asyncio.AbstractEventLoop#time           clock:read                         reads the clock
asyncio.AbstractEventLoop#call_later     clock:read                         waits by the clock
asyncio.AbstractEventLoop#call_at        clock:read                         waits by the clock
asyncio.AbstractEventLoop#run_in_executor  thread:write                     starts a thread
asyncio.AbstractEventLoop#create_task    pure                               tasks and futures
asyncio.AbstractEventLoop#create_future  pure                               tasks and futures
asyncio.AbstractEventLoop#call_soon      pure                               tasks and futures
asyncio.AbstractEventLoop#call_soon_threadsafe  pure                        tasks and futures
asyncio.AbstractEventLoop#run_until_complete  pure                          tasks and futures
asyncio.AbstractEventLoop#run_forever    pure                               tasks and futures
asyncio.AbstractEventLoop#is_running     pure                               tasks and futures
asyncio.AbstractEventLoop#is_closed      pure                               tasks and futures
asyncio.AbstractEventLoop#close          pure                               tasks and futures
asyncio.AbstractEventLoop#stop           pure                               tasks and futures
asyncio.AbstractEventLoop#create_connection  network:write@1                connects
asyncio.AbstractEventLoop#subprocess_exec   process:write                   starts a process
asyncio.AbstractEventLoop#subprocess_shell  process:write                   starts a process
asyncio.AbstractEventLoop#add_signal_handler  process:write                 handles signals
asyncio.AbstractEventLoop#getaddrinfo    network:read@0                     looks a host name up
asyncio.AbstractEventLoop#*              network:write                      opens connections

logging.*                                log:write                          writes to the log
logging.getLogger                        pure -> logging.Logger             a logger; its lines count
logging.Logger                           pure -> logging.Logger             a logger; its lines count
logging.LoggerAdapter                    pure -> logging.Logger             a logger; its lines count
logging.Logger#getChild                  pure -> logging.Logger             a logger; its lines count
logging.Logger#setLevel                  pure                               settings of a logger
logging.Logger#isEnabledFor              pure                               settings of a logger
logging.Logger#getEffectiveLevel         pure                               settings of a logger
logging.Logger#hasHandlers               pure                               settings of a logger
logging.Logger#addFilter                 pure                               settings of a logger
logging.Logger#addHandler                pure                               settings of a logger
logging.Logger#name                      pure                               settings of a logger
logging.Logger#level                     pure                               settings of a logger
logging.Logger#propagate                 pure                               settings of a logger
logging.Logger#disabled                  pure                               settings of a logger
logging.Logger#handlers                  pure                               settings of a logger
logging.Logger#*                         log:write                          writes to the log
logging.DEBUG                            pure                               a constant
logging.INFO                             pure                               a constant
logging.WARNING                          pure                               a constant
logging.ERROR                            pure                               a constant
logging.CRITICAL                         pure                               a constant
logging.NOTSET                           pure                               a constant
logging.NullHandler                      pure                               writes nothing
logging.Formatter                        pure                               formats texts
logging.Filter                           pure                               a base class
logging.Handler                          pure                               a base class
logging.LogRecord                        clock:read                         reads the clock
logging.getLevelName                     pure                               a constant
logging.FileHandler                      fs:write@0                         writes a file
logging.handlers.*                       network:write                      writes files or sends messages
logging.config.*                         unknown                            makes handlers by computed names
warnings.warn                            log:write                          writes to standard error
warnings.warn_explicit                   log:write                          writes to standard error
warnings.*                               pure                               settings of warnings
syslog.*                                 log:write                          writes to the system's log
pprint.pprint                            log:write                          writes to standard output
pprint.pp                                log:write                          writes to standard output
pprint.*                                 pure                               formats texts
traceback.print_exc                      log:write                          writes to standard error
traceback.print_exception                log:write                          writes to standard error
traceback.print_stack                    log:write                          writes to standard error
traceback.print_tb                       log:write                          writes to standard error
traceback.*                              pure                               formats texts
faulthandler.*                           process:write                      handles signals

sys.*                                    unknown                            reaches into the interpreter
sys.stdout                               log:write                          writes to standard output
sys.stderr                               log:write                          writes to standard error
sys.__stdout__                           log:write                          writes to standard output
sys.__stderr__                           log:write                          writes to standard error
sys.stdin                                fs:read                            reads standard input
sys.__stdin__                            fs:read                            reads standard input
sys.argv                                 env:read=argv                      reads the command line
sys.orig_argv                            env:read=argv                      reads the command line
sys.executable                           env:read=platform                  reads where the interpreter is
sys.prefix                               env:read=platform                  reads where the interpreter is
sys.base_prefix                          env:read=platform                  reads where the interpreter is
sys.getfilesystemencoding                env:read=locale                    reads the locale
sys.platform                             pure                               a constant
sys.version                              pure                               a constant
sys.version_info                         pure                               a constant
sys.hexversion                           pure                               a constant
sys.implementation                       pure                               a constant
sys.byteorder                            pure                               a constant
sys.maxsize                              pure                               a constant
sys.maxunicode                           pure                               a constant
sys.float_info                           pure                               a constant
sys.int_info                             pure                               a constant
sys.hash_info                            pure                               a constant
sys.flags                                env:read=argv                      reads the interpreter's options
sys.exit                                 pure                               raises SystemExit
sys.intern                               pure                               a text
sys.getsizeof                            pure                               a size
sys.getrefcount                          pure                               a count
sys.getdefaultencoding                   pure                               a constant
sys.getrecursionlimit                    pure                               a setting
sys.setrecursionlimit                    pure                               a setting
sys.exc_info                             pure                               the exception being handled
sys.exception                            pure                               the exception being handled
sys.stdlib_module_names                  pure                               a constant

abc.*                                    pure                               declares classes
argparse.*                               pure                               parses texts
argparse.FileType                        fs:write                           opens files
argparse.ArgumentParser                  env:read=argv                      reads the command line
array.*                                  pure                               values in memory
ast.*                                    pure                               syntax trees as values
atexit.*                                 pure                               registers a callback
base64.*                                 pure                               encodes and decodes
binascii.*                               pure                               encodes and decodes
bisect.*                                 pure                               searches values
cmath.*                                  pure                               arithmetic
collections.*                            pure                               values in memory
colorsys.*                               pure                               arithmetic
contextlib.*                             pure                               context managers
contextlib.chdir                         env:write=cwd                      changes the working folder
contextlib.redirect_stdout               process:write                      changes the process
contextlib.redirect_stderr               process:write                      changes the process
contextvars.*                            pure                               values of a task
copy.*                                   pure                               copies values
csv.*                                    pure                               parses texts
dataclasses.*                            pure                               declares classes
dataclasses.make_dataclass               unknown                            makes classes by computed names
decimal.*                                pure                               arithmetic
difflib.*                                pure                               compares texts
email.*                                  pure                               parses texts
encodings.*                              pure                               encodes and decodes
enum.*                                   pure                               declares constants
errno.*                                  pure                               constants
fnmatch.*                                pure                               compares texts
fractions.*                              pure                               arithmetic
functools.*                              pure                               functions of functions
gc.collect                               pure                               frees memory
gc.freeze                                pure                               frees memory
gettext.*                                fs:read                            reads message files
graphlib.*                               pure                               sorts values
hashlib.*                                pure                               digests bytes
heapq.*                                  pure                               values in memory
hmac.*                                   pure                               digests bytes
html.*                                   pure                               parses texts
inspect.signature                        pure                               describes a function
inspect.isawaitable                      pure                               looks at a value
inspect.iscoroutine                      pure                               looks at a value
inspect.iscoroutinefunction              pure                               looks at a value
inspect.isclass                          pure                               looks at a value
inspect.isfunction                       pure                               looks at a value
inspect.cleandoc                         pure                               rewrites a text
inspect.Parameter                        pure                               a value
inspect.Signature                        pure                               a value
ipaddress.*                              pure                               addresses as values
itertools.*                              pure                               iterates values
json.*                                   pure                               parses texts
keyword.*                                pure                               constants
math.*                                   pure                               arithmetic
numbers.*                                pure                               types
operator.*                               pure                               operators as functions
pickle.dumps                             pure                               values as bytes
pickle.dump                              pure                               values as bytes
pickle.PicklingError                     pure                               an exception
pickle.UnpicklingError                   pure                               an exception
pickle.HIGHEST_PROTOCOL                  pure                               a constant
plistlib.*                               pure                               parses texts
quopri.*                                 pure                               encodes and decodes
re.*                                     pure                               searches texts
reprlib.*                                pure                               formats texts
shlex.*                                  pure                               parses texts
stat.*                                   pure                               constants
statistics.*                             pure                               arithmetic
string.*                                 pure                               texts
stringprep.*                             pure                               texts
struct.*                                 pure                               packs values
textwrap.*                               pure                               formats texts
token.*                                  pure                               constants
tokenize.open                            fs:read@0                          opens a file
tokenize.*                               pure                               parses texts
tomllib.*                                pure                               parses texts
types.*                                  pure                               types
types.FunctionType                       unknown                            makes functions of code
types.LambdaType                         unknown                            makes functions of code
types.CodeType                           unknown                            makes code
types.ModuleType                         unknown                            makes modules
types.new_class                          unknown                            makes classes by computed names
typing.*                                 pure                               types
typing.ForwardRef                        unknown                            evaluates annotations
typing.get_type_hints                    unknown                            evaluates annotations
unicodedata.*                            pure                               texts
weakref.*                                pure                               references
xml.sax.saxutils.*                       pure                               rewrites texts
xml.etree.ElementTree.parse              fs:read@0                          reads a file
xml.etree.ElementTree.ElementTree        fs:read                            reads or writes a file
xml.etree.ElementTree.*                  pure                               parses texts
xml.etree.*                              pure                               parses texts
__future__.*                             pure                               the compiler's switches

pydantic.*                               pure                               parses and checks values
pydantic.BaseModel#parse_file            fs:read@0                          reads a file
pydantic.BaseModel#parse_raw             unknown                            may load pickled objects
pydantic.BaseModel#*                     pure                               parses and checks values
pydantic.deprecated.*                    unknown                            is not in the catalogue
pydantic.create_model                    unknown                            makes classes by computed names
pydantic.ImportString                    unknown                            imports a module by a computed name
pydantic.v1.*                            unknown                            is not in the catalogue
pydantic_core.*                          pure                               parses and checks values
typing_extensions.*                      pure                               types
annotated_types.*                        pure                               types
certify.capabilities.*                   pure                               types; their use is seen on the context
certify.key.*                            pure                               derives idempotency keys
certify.codec.*                          pure                               canonical bytes
"""

#: What library calls do for their own housekeeping; it does not reach the node's result.
_IMPLIED: Final = """
logging.*                 clock env log thread
threading.*               clock env thread
queue.*                   clock thread
concurrent.*              clock env thread
multiprocessing.*         clock env thread random fs
asyncio.*                 clock env thread network
subprocess.*              clock env fs
tempfile.*                random env clock fs
shutil.*                  env fs
glob.*                    fs
httpx.*                   clock env random fs thread
requests.*                clock env random fs thread
aiohttp.*                 clock env random fs thread
urllib.*                  clock env random fs thread
urllib3.*                 clock env random fs thread
http.*                    clock env fs
ssl.*                     env fs random
socket.*                  clock env fs
smtplib.*                 clock env fs random
sqlite3.*                 env fs
uuid.*                    clock env fs process
email.*                   clock env random
zoneinfo.*                fs env
warnings.*                fs env
traceback.*               fs
mimetypes.*               fs
random.*                  clock
datetime.*                env
time.*                    env
functools.*               thread
argparse.*                env
locale.*                  env
platform.*                env fs process
pydantic.*                env
pathlib.*                 env
os.path.*                 env
"""

#: Files that the interpreter and the system's libraries read for themselves: their content is the platform's.
AMBIENT_FILES: Final = re.compile(
    r"(/etc/(resolv\.conf|hosts|host\.conf|nsswitch\.conf|gai\.conf|services|protocols|localtime|timezone|mime\.types"
    r"|ssl/.*|ld\.so\.cache|locale\.alias|passwd|group)|/usr/share/zoneinfo(/.*)?|/usr/(lib|share)/(locale|ssl)/.*"
    r"|/dev/(null|zero)|.*/(certifi/cacert\.pem|tzdata/zoneinfo/.*)|.*\.py[co]?|.*\.so(\.\d+)*|.*/__pycache__(/.*)?)"
)

#: Attribute names that lead from any object to code, frames or namespaces.
REFLECTIVE: Final = frozenset(
    [
        "__subclasses__",
        "__globals__",
        "__builtins__",
        "__code__",
        "__closure__",
        "__bases__",
        "__base__",
        "__mro__",
        "__getattribute__",
        "__loader__",
        "__spec__",
        "__import__",
        "__self__",
        "__func__",
        "__wrapped__",
        "__reduce__",
        "__reduce_ex__",
        "__dict__",
        "__defaults__",
        "__kwdefaults__",
        "__class_getitem__",
        "f_globals",
        "f_locals",
        "f_builtins",
        "f_back",
        "f_code",
        "gi_frame",
        "gi_code",
        "cr_frame",
        "cr_code",
        "ag_frame",
        "ag_code",
        "tb_frame",
        "tb_next",
        "mro",
        "func_globals",
        "__init_subclass__",
        "__objclass__",
    ]
)

#: Bases that call nothing of a subclass but what the data model and these names say.
PASSIVE_BASES: Final = re.compile(
    r"builtins\..*|typing\..*|typing_extensions\..*|abc\.ABC|collections\..*|enum\..*|pydantic\..*|datetime\..*"
    r"|decimal\..*|fractions\..*|certify\.capabilities\..*|string\.Template"
)
PASSIVE_HOOKS: Final = frozenset({"_missing_", "_generate_next_value_", "model_post_init", "default"})

_WORD: Final = re.compile(
    r"(?P<verdict>pure|unknown|(?P<kind>[a-z]+):(?P<mode>read|write))(=(?P<fact>\w+))?(@(?P<target>\w+))?"
    r"(?:\s\?(?P<pure_from>\d+|!\w+))?(?:\s(?P<refine>open|verb|sql))?(?:\s->\s(?P<returns>[\w.]+))?"
)


@dataclass(frozen=True, slots=True)
class Known(Entry):
    """An entry with what cannot be said by an index.

    Attributes:
        keyword: the keyword argument that is the target.
        fact: a target fixed by the entry itself, such as ``hostname``.
        writes_with: the argument whose presence makes a read a write (`urlopen`'s `data`).
    """

    keyword: str = ""
    fact: str = ""
    writes_with: str = ""


def _read(effect: str, reason: str) -> Known:
    match = _WORD.fullmatch(effect)
    if match is None:
        raise ValueError(f"no effect reads {effect!r}")
    target, pure_from = match["target"], match["pure_from"] or "0"
    index = None if target is None else -1 if target == "self" else int(target) if target.isdigit() else None
    return Known(
        verdict="effect" if match["kind"] else "pure" if match["verdict"] == "pure" else "unknown",
        reason=reason,
        kind=Kind(match["kind"]) if match["kind"] else None,
        mode=Mode(match["mode"]) if match["mode"] else Mode.READ,
        target=index,
        pure_from=0 if pure_from.startswith("!") else int(pure_from),
        refine=match["refine"] or "",  # type: ignore[arg-type]  # the pattern allows exactly these words
        returns=match["returns"] or "",
        keyword="" if target is None or target == "self" or target.isdigit() else target,
        fact=match["fact"] or "",
        writes_with=pure_from[1:] if pure_from.startswith("!") else "",
    )


def _entries() -> dict[str, Known]:
    table = {f"builtins.{name}": Known("pure", "a built-in") for name in _BUILTINS.split()}
    for line in _TABLE.strip().splitlines():
        if line:
            pattern, effect, reason = re.split(r"\s{2,}", line.strip(), maxsplit=2)
            table[pattern] = _read(re.sub(r"\s+", " ", effect), reason)
    return table


_ENTRIES: Final = _entries()
_CLASSES: Final = frozenset(pattern.partition("#")[0] for pattern in _ENTRIES if "#" in pattern)
_MODULES: Final = frozenset(
    ".".join(parts[:count])
    for pattern in _ENTRIES
    if not pattern.startswith("builtins.")
    for parts in [pattern.partition("#")[0].removesuffix(".*").split(".")]
    for count in range(1, len(parts) + 1)
)
_HOUSEKEEPING: Final = {
    line.split()[0].removesuffix(".*"): frozenset(Kind(word) for word in line.split()[1:])
    for line in _IMPLIED.strip().splitlines()
}


@lru_cache(maxsize=4096)
def lookup(name: str) -> Known | None:
    """The entry of a dotted name; None when the catalogue does not have it."""
    if name in _ENTRIES:
        return _ENTRIES[name]
    if any(part.startswith("_") and not part.endswith("__") for part in name.split(".")[1:]):
        return None  # what is private may be anything, another module included
    owner, _, attribute = name.rpartition(".")
    if owner in _CLASSES:
        found = method(owner, attribute)
        if found is not None:
            return found
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        entry = _ENTRIES.get(".".join(parts[:count]) + ".*")
        if entry is not None:
            return entry
        # What hangs on a listed function or class is as that one says.
        entry = _ENTRIES.get(".".join(parts[:count]))
        if entry is not None and count < len(parts):
            return entry
    return None


def also_means(owner: str, attribute: str) -> str:
    """The other name that an attribute may have: modules keep those they import, so that `json.codecs` is `codecs`.

    Returns:
        the name by which the catalogue knows it; empty when `owner` does not end in the name of a standard module.
    """
    last = owner.rpartition(".")[2]
    return f"{last}.{attribute}" if "." in owner and last in sys.stdlib_module_names else ""


@lru_cache(maxsize=4096)
def method(type_: str, attribute: str) -> Known | None:
    """The entry of a method or attribute of an external class."""
    return _ENTRIES.get(f"{type_}#{attribute}") or _ENTRIES.get(f"{type_}#*")


def is_class(name: str) -> bool:
    """Whether the catalogue lists methods of this class."""
    return name in _CLASSES


def is_module(name: str) -> bool:
    """Whether the catalogue has anything of a module of this name."""
    return name in _MODULES


def is_namespace(name: str) -> bool:
    """Whether a name is only a step towards entries (`os.path`, `http`), so that mentioning it does nothing."""
    return name in _MODULES and name not in _ENTRIES and not is_class(name)


def implied(name: str) -> frozenset[Kind]:
    """The kinds that a call has for its own housekeeping."""
    parts = name.replace("#", ".").split(".")
    return frozenset().union(*(_HOUSEKEEPING.get(".".join(parts[:count]), ()) for count in range(1, len(parts) + 1)))


def entries() -> Mapping[str, Known]:
    """Every entry by its pattern."""
    return MappingProxyType(_ENTRIES)
