"""CAs that issue here: their sealed keys, and what each has issued."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import models
from django.urls import reverse
from django.utils import timezone

from certificates import issuing, pem
from certificates.alternative_names import AlternativeName
from certificates.issuing import IssuingError, KeyKind, Subject
from certificates.issuing.keys import PublicKey
from certificates.models.certificate import Certificate
from certificates.models.issued_certificate import IssuedCertificate
from certificates.models.master_keys import keyring
from certificates.sealed import master_key_id
from console.models import ConfigurationRevision

TWIN = (
    "There is a CA of this subject here already. Choose another common name: programs that know both could "
    "not tell them apart."
)


@dataclass(frozen=True)
class NewAuthority:
    """What a person asks for. `days` are those of the root; an intermediate ends with it at the latest."""

    name: str
    subject: Subject
    kind: KeyKind
    days: int
    intermediate: Subject | None = None
    permitted: tuple[Any, ...] = ()


class CertificateAuthorityQuerySet(models.QuerySet["CertificateAuthority"]):
    def create_root(self, wanted: NewAuthority, user: User) -> "CertificateAuthority":
        """Makes a root, and an intermediate below it where one is asked for; gives the one that issues.

        Listeners are given the certificate of the latter, in which the root's stands as well. Raises
        `IssuingError`.
        """
        now = timezone.now()
        below = wanted.intermediate
        root = issuing.new_root(
            wanted.subject,
            wanted.kind,
            wanted.days,
            now,
            path_length=1 if below else 0,
            permitted=wanted.permitted,
        )
        made = None
        if below:
            authority = issuing.Authority(root.certificate, root.private_key)
            made = issuing.new_intermediate(
                authority, below, wanted.kind, wanted.days, now, permitted=wanted.permitted
            )
        with ConfigurationRevision.objects.change():
            name = f"{wanted.name[:250]} root" if made else wanted.name
            first = self._store(name, root, (), user)
            return self._store(wanted.name, made, (first,), user) if made else first

    def _store(
        self, name: str, made: issuing.Issued, above: tuple["CertificateAuthority", ...], user: User
    ) -> "CertificateAuthority":
        content = made.certificate + "".join(one.content for one in above)
        material = pem.examine_ca(content, timezone.now()).material
        if material is None:
            raise IssuingError("The CA certificate that was made is not one that listeners take.")
        if self.filter(subject=material.certificates[0].subject).exists():
            raise IssuingError(TWIN, "common_name")
        certificate = Certificate(name=name, type=Certificate.Type.CA, created_by=user, updated_by=user)
        certificate.hold(material)
        certificate.save()
        return self._keep(certificate, made.certificate, made.private_key, above[0] if above else None, user)

    def take_up(
        self, certificate: Certificate, content: str, private_key: str, user: User
    ) -> "CertificateAuthority":
        """Lets a stored CA certificate issue, whose key somebody has brought.

        `content` is the certificate among those of the bundle that the key belongs to. Raises `IssuingError`
        where it does not or signs nothing here, and IntegrityError where another certificate of the bundle
        issues already, or another bundle's with this key.
        """
        issuing.check_authority(content, private_key)
        with ConfigurationRevision.objects.change():
            facts = pem.stored_facts(content)[0]
            known = self.filter(certificate=certificate, public_key_hash=facts.public_key_hash).first()
            if known:
                known.seal(private_key)
                known.save()
                return known
            bundle = Certificate.objects.filter(pk=certificate.pk).values_list("content", flat=True).first()
            if facts.pem not in (bundle or ""):
                raise IssuingError("The CA certificate was changed or deleted meanwhile. Look at it again.")
            return self._keep(certificate, content, private_key, None, user)

    def _keep(
        self,
        certificate: Certificate,
        content: str,
        private_key: str,
        parent: "CertificateAuthority | None",
        user: User,
    ) -> "CertificateAuthority":
        facts = pem.stored_facts(content)[0]
        authority = self.model(
            certificate=certificate,
            parent=parent,
            content=content,
            subject=facts.subject,
            public_key_hash=facts.public_key_hash,
            not_before=facts.not_before,
            not_after=facts.not_after,
            created_by=user,
        )
        authority.seal(private_key)
        authority.save()
        return authority


class CertificateAuthority(models.Model):
    """A stored CA certificate with its private key, which may since have been removed from here.

    `content` is its own certificate alone; that of `certificate` may be a bundle and be changed. A
    certificate that has issued is not deleted with its CA in passing: that is what PROTECT is for.
    """

    certificate = models.OneToOneField(Certificate, models.CASCADE, related_name="authority")
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="intermediates")
    content = models.TextField(help_text="PEM of its own certificate")
    subject = models.TextField()
    public_key_hash = models.CharField(max_length=64, unique=True, help_text="SHA-256, hexadecimal")
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    sealed_private_key = models.TextField(blank=True, help_text="empty once it was removed from here")
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CertificateAuthorityQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "certificate authorities"
        ordering = ["certificate__name", "id"]
        indexes = [models.Index(master_key_id("sealed_private_key"), name="authority_master_key")]

    def __str__(self) -> str:
        return str(self.certificate)

    def get_absolute_url(self) -> str:
        return reverse("authority_detail", args=[self.pk])

    @property
    def has_key(self) -> bool:
        return bool(self.sealed_private_key)

    @property
    def is_root(self) -> bool:
        return pem.stored_facts(self.content)[0].is_self_signed

    @property
    def above(self) -> tuple[str, ...]:
        """PEM of the CAs above it that are known here, the root last."""
        return (self.parent.content, *self.parent.above) if self.parent else ()

    @property
    def between(self) -> tuple[str, ...]:
        """PEM of the CAs between what it issues and the root, which clients have or do not trust."""
        chain = (self.content, *self.above)
        return chain[:-1] if self.is_root or self.parent else chain

    def seal(self, private_key: str) -> None:
        self.sealed_private_key = keyring().seal(private_key, self.public_key_hash)

    def private_key(self) -> str:
        """In clear, to sign with and to be downloaded. Raises `keyring.UnsealError`."""
        return keyring().unseal(self.sealed_private_key, self.public_key_hash)

    def remove_key(self) -> None:
        """From here; whoever has downloaded it can bring it back."""
        self.sealed_private_key = ""
        self.save(update_fields=["sealed_private_key"])

    def delete_with_issued(self) -> None:
        """Deletes the CA, its stored certificate, and what is known here of the certificates it has issued.

        The log of key downloads stays. Raises `ProtectedError`, and then deletes nothing, while a listener
        uses it or there is another CA below it.
        """
        with ConfigurationRevision.objects.change():
            self.issued.all().delete()
            self.certificate.delete()

    @property
    def signing(self) -> issuing.Authority:
        """Raises `IssuingError` where its key is not here, and `keyring.UnsealError`."""
        if not self.has_key:
            raise IssuingError("The key of this CA is not on this machine. Bring it back to issue with it.")
        return issuing.Authority(self.content, self.private_key(), self.above)

    def issue(
        self,
        profile: issuing.Profile,
        subject: Subject,
        names: Sequence[AlternativeName],
        key: "KeyKind | issuing.Request | PublicKey",
        end: datetime | int,
        user: User,
        *,
        server_name: str = "",
        renewal_of: IssuedCertificate | None = None,
        form_token: UUID | None = None,
    ) -> IssuedCertificate:
        """Issues and stores; a server's certificate and key also among the certificates, as `server_name`.

        `end` is its last moment, or a number of days from now. The renewal of a server's certificate takes
        the place of the earlier one there, so that listeners serve it at once; something else that has been
        put into that place meanwhile stays. Raises `IssuingError` and `keyring.UnsealError`, and
        IntegrityError for a second renewal of the same certificate and for a second use of `form_token`.
        """
        public = key.public_key if isinstance(key, issuing.Request) else key
        row = IssuedCertificate(
            authority=self,
            profile=profile.value,
            renewal_of=renewal_of,
            form_token=form_token,
            created_by=user,
        )
        while True:
            # Before the lock is taken, for an RSA key may take seconds.
            made = issuing.issue(profile, self.signing, subject, names, public, end, timezone.now())
            with ConfigurationRevision.objects.change():
                row.hold(made, subject, names)
                if self.issued.filter(serial_number=row.serial_number).exists():
                    continue  # with another one; RFC 5280, 4.1.2.2
                if profile is issuing.Profile.SERVER and made.private_key:
                    row.stored = self._stored_server(made, server_name, renewal_of, user)
                row.save()
                return row

    def _stored_server(
        self, made: issuing.Issued, name: str, renewal_of: IssuedCertificate | None, user: User
    ) -> Certificate:
        content = made.certificate + "".join(self.between)
        material = pem.examine_server(content, made.private_key, timezone.now()).material
        if material is None:
            raise IssuingError("The certificate that was made is not one that Envoy serves.")
        replaced = renewal_of.in_its_place if renewal_of else None
        if replaced:
            certificate = replaced.renewed(material)
            if sentences := replaced.objections(certificate):
                raise IssuingError(" ".join(sentences))
        else:
            certificate = Certificate(name=name, type=Certificate.Type.SERVER, created_by=user)
            certificate.hold(material)
        certificate.updated_by = user
        certificate.save()
        return certificate
