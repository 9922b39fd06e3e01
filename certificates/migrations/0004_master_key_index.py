from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("certificates", "0003_search_and_indexes")]

    operations = [
        migrations.AddIndex(
            model_name="certificate",
            index=models.Index(
                models.Func(
                    "sealed_private_key",
                    template="SUBSTR(%(expressions)s, 4, 8)",
                    output_field=models.CharField(),
                ),
                name="certificate_master_key",
            ),
        ),
    ]
