"""Where a client's certificate goes: which file suits each place, and how it is imported there.

docs/client-bundles.md has the sources, and says what was tried on the machine that builds the console.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from certificates.issuing.bundles import BundleForm


class Target(StrEnum):
    WINDOWS = "windows"
    WINDOWS_OLD = "windows-old"
    MACOS = "macos"
    IOS = "ios"
    ANDROID = "android"
    FIREFOX = "firefox"
    CHROME_LINUX = "chrome-linux"
    JAVA = "java"
    CURL = "curl"

    @property
    def label(self) -> str:
        return GUIDES[self].label

    @property
    def form(self) -> BundleForm:
        """The one that suits it."""
        return GUIDES[self].form


@dataclass(frozen=True)
class Step:
    """{file} stands for the name of the downloaded file without its end."""

    text: str
    command: str = ""

    def at(self, file: str) -> "Step":
        return Step(self.text.replace("{file}", file), self.command.replace("{file}", file))


@dataclass(frozen=True)
class Guide:
    """`source`: whose word the steps are; "" where a test of the console takes them.

    `root` is what becomes of the CA's root certificate, which the file has as well.
    """

    label: str
    form: BundleForm
    steps: tuple[Step, ...]
    root: str
    source: str = ""

    def at(self, file: str) -> "Guide":
        """The steps for a file of this name."""
        return replace(self, steps=tuple(step.at(file) for step in self.steps))


OPEN = Step("Open the address of the listener. The browser asks which certificate to present; choose it.")
WINDOWS_STEPS = (
    Step("Double-click {file}.p12, choose Current User, and type the file's password when it asks."),
    Step("Leave Automatically select the certificate store as it is, and finish."),
    Step(
        "Or in PowerShell, which asks for the password:",
        "Import-PfxCertificate -FilePath {file}.p12 -CertStoreLocation Cert:\\CurrentUser\\My "
        "-Password (Read-Host -AsSecureString)",
    ),
    Step("certmgr.msc shows it under Personal, Certificates. Edge and Chrome use it from there."),
    OPEN,
)
OTHERS = "the guides of other projects, which agree"
MICROSOFT = "Microsoft's documentation"
WINDOWS_ROOT = (
    "Windows asks before it trusts the root for everything. A client needs that only where the server's "
    "certificate comes from this CA, too; else answer No."
)

NSS_COMMAND = """\
D="$HOME/.local/share/pki/nssdb"
if [ -d "$HOME/.pki/nssdb" ] || [ ! -d "$D" ]; then D="$HOME/.pki/nssdb"; fi
[ -e "$D/cert9.db" ] || { mkdir -p "$D" && certutil -N -d "sql:$D" --empty-password; }
pk12util -d "sql:$D" -i {file}.p12"""

GUIDES = {
    Target.WINDOWS: Guide(
        "Windows 10 and 11, Windows Server 2019 and later",
        BundleForm.PKCS12,
        WINDOWS_STEPS,
        WINDOWS_ROOT,
        MICROSOFT,
    ),
    Target.WINDOWS_OLD: Guide(
        "Windows Server 2016 and older",
        BundleForm.PKCS12_LEGACY,
        WINDOWS_STEPS,
        WINDOWS_ROOT,
        MICROSOFT,
    ),
    Target.MACOS: Guide(
        "macOS",
        BundleForm.PKCS12_LEGACY,
        (
            Step("Double-click {file}.p12. Keychain Access opens; choose the keychain login."),
            Step("Type the file's password. macOS calls it wrong when a file has the modern encryption."),
            Step(
                "Or in a terminal, which asks for the password:",
                "security import {file}.p12 -f pkcs12 -k ~/Library/Keychains/login.keychain-db",
            ),
            Step("Safari and Chrome use it from there. Firefox has a store of its own: see there."),
            OPEN,
        ),
        "The root is stored and not trusted until you set it to Always Trust in Keychain Access.",
        "Microsoft's documentation for Macs, and Apple's own source of the command",
    ),
    Target.IOS: Guide(
        "iPhone and iPad",
        BundleForm.PROFILE,
        (
            Step("Send {file}.mobileconfig to the device, by AirDrop or mail, and open it there."),
            Step(
                "Open Settings within eight minutes, tap Profile Downloaded, and tap Install. It says Not "
                "Signed, rightly."
            ),
            Step("Type the passcode of the device, then the password of the file."),
            Step("Open the address of the listener in Safari, and choose the certificate."),
        ),
        "The root is trusted for websites only once you turn it on under Settings, General, About, "
        "Certificate Trust Settings. A client needs that only where the server's certificate comes from it.",
        OTHERS,
    ),
    Target.ANDROID: Guide(
        "Android",
        BundleForm.PKCS12_LEGACY,
        (
            Step("Bring {file}.p12 onto the device, by cable or mail."),
            Step(
                "Open Settings, search for certificate, and choose Install a certificate, VPN & app user "
                "certificate. The way there differs by maker."
            ),
            Step("Choose the file, type its password, and keep the name that is offered."),
            Step("Open the address of the listener in Chrome, and choose the certificate."),
        ),
        "The root is left aside: Android installs CAs only by themselves, as CA certificate.",
        OTHERS,
    ),
    Target.FIREFOX: Guide(
        "Firefox",
        BundleForm.PKCS12,
        (
            Step("Open Settings, Privacy & Security, and under Certificates choose View Certificates."),
            Step("Under Your Certificates choose Import, then {file}.p12, and type its password."),
            OPEN,
        ),
        "The root is stored and not trusted.",
        OTHERS,
    ),
    Target.CHROME_LINUX: Guide(
        "Chrome and Chromium on Linux",
        BundleForm.PKCS12,
        (
            Step(
                "Close the browser, and run this where the file is. pk12util asks for the password. It is in "
                "the package libnss3-tools (Debian) or nss-tools (Fedora).",
                NSS_COMMAND,
            ),
            Step("Chromium 146 and later keeps its store in the first directory unless the second is there."),
            OPEN,
        ),
        "The root is stored and not trusted.",
    ),
    Target.JAVA: Guide(
        "Java",
        BundleForm.PKCS12,
        (
            Step(
                "The file is a key store as it is. This shows what is in it, and asks for the password:",
                "keytool -list -v -storetype PKCS12 -keystore {file}.p12",
            ),
            Step(
                "For programs that take it from system properties:",
                "java -Djavax.net.ssl.keyStoreType=PKCS12 -Djavax.net.ssl.keyStore={file}.p12 "
                "-Djavax.net.ssl.keyStorePassword=PASSWORD -jar program.jar",
            ),
            Step("Java before 8u301 and before 11.0.12 needs the legacy encryption: change the format."),
        ),
        "The root belongs to the chain of the key and is not trusted by it; trust has a store of its own.",
    ),
    Target.CURL: Guide(
        "curl and OpenSSL",
        BundleForm.PEM,
        (
            Step(
                "In place of the address put that of the listener. curl asks for the password:",
                "curl --cert {file}.pem https://127.0.0.1:8443/ -I",
            ),
            Step(
                "Of a .p12 file curl does not ask; here it reads the password from its standard input, so "
                "that no list of processes shows it:",
                'read -rs P && echo "pass = $P" | curl -K - --cert-type P12 --cert {file}.p12 '
                "https://127.0.0.1:8443/ -I",
            ),
            Step("OpenSSL 3 reads .p12 files of both encryptions, the legacy one without -legacy, too."),
        ),
        "Neither PEM file has the root. Where the server's certificate comes from this CA, give its "
        "certificate with --cacert.",
    ),
}
